"""A look that is answered oddly fails for the owners that it is odd about, and for no others."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from airflow_bitrix.core.links import Owner
from airflow_bitrix.crm.owner_reads import OwnerReads, Seen
from airflow_bitrix.sandbox import wrong_rows
from airflow_bitrix.sandbox.server import Sandbox

Look = Callable[[], Seen]


@pytest.fixture
def sandbox(make_sandbox: Any) -> Sandbox:
    sandbox: Sandbox = make_sandbox(leads=60, contacts=20, plan="self_hosted")
    sandbox.state.delete("lead", 7)
    return sandbox


@pytest.fixture
def look(sandbox: Sandbox, connect_async: Callable[..., Any]) -> Look:
    """Look at all leads and at one that is gone."""

    def run() -> Seen:
        async def read() -> Seen:
            async with connect_async(sandbox.webhook_url) as portal:
                return await OwnerReads(portal, "lead").look(range(1, 61))

        return asyncio.run(read())

    return run


@pytest.mark.parametrize("kind", wrong_rows.ALL)
def test_an_owner_is_seen_as_it_is_or_it_is_said_why_not(kind: str, sandbox: Sandbox, look: Look) -> None:
    links = sandbox.links("lead")
    for seed, share in ((1, 0.4), (2, 1.0)):
        sandbox.set_faults(seed=seed, wrong_rows={kind: share})
        seen = look()
        for lead, state in seen.states.items():
            assert state.links.contact_ids == tuple(link[0] for link in links[str(lead)]["links"])
            assert state.links.shown_id == (links[str(lead)]["contact_id"] or None)
        for lead in {*range(1, 61)} - {7} - seen.states.keys():
            assert seen.unseen[lead].startswith("it could not be looked at: crm.item.list: ")
    assert 7 not in seen.states


@pytest.mark.parametrize("kind", ["contact_id_words", "stage_dict", "flag_words", "field_missing"])
def test_a_row_that_cannot_be_read_is_one_owner_s_failure(kind: str, sandbox: Sandbox, look: Look) -> None:
    sandbox.set_faults(wrong_rows={kind: 1.0})
    seen = look()
    assert len(seen.unseen) == 2  # one on each page
    assert len(seen.states) == 57
    assert seen.missing(Owner("lead", 7)) == "lead 7 is not there, or the webhook's user may not read it"


def test_an_owner_that_a_short_page_lacks_does_not_count_as_gone(sandbox: Sandbox, look: Look) -> None:
    sandbox.set_faults(wrong_rows={"short_page": 1.0})
    seen = look()
    assert len(seen.states) == 57
    said = "it could not be looked at: crm.item.list: 48 rows came where the portal counts 49"
    assert seen.unseen[50] == said
