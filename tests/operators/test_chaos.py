"""A few seeds of ``make chaos``: portals that answer wrongly, workers that are killed, links as they were."""

from __future__ import annotations

import pytest

from scripts.chaos import run_seed


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 4, 6, 8])
def test_after_all_the_links_are_as_they_were_or_it_is_said_which_are_not(seed: int) -> None:
    found = run_seed(seed, leads=200, chance=0.3)
    assert found.struck.total()
    assert found.verdict in ("right", "named"), found.said
