"""constraints.txt and pyproject.toml tell the same."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PINS = dict(
    line.split("==")
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
)


def test_every_dependency_has_a_pinned_version_that_fits() -> None:
    """After a change of the dependencies in pyproject.toml, ``make constraints`` is due."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pinned = {canonicalize_name(name): version for name, version in PINS.items()}
    wanted = [
        Requirement(text) for text in (*project["dependencies"], *project["optional-dependencies"]["dev"])
    ]
    unpinned = [
        str(one) for one in wanted if pinned.get(canonicalize_name(one.name), "none") not in one.specifier
    ]
    assert unpinned == []


def test_the_pins_are_plain_and_sorted() -> None:
    """One version for each name, as pip freeze tells it."""
    assert list(PINS) == sorted(PINS, key=str.lower)
