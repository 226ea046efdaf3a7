"""constraints.txt, the sets that test-floors installs, and pyproject.toml tell the same."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from scripts.environments import KEPT, LOWEST, RELEASES, read_pins

ROOT = Path(__file__).parents[1]
SETS = ROOT / "tests" / "floors" / "sets"
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


def test_the_pins_of_a_cluster_are_plain_and_name_nothing_twice() -> None:
    """They lie in front of those of constraints.txt, and so name nothing that stands there."""
    lines = [line for line in (ROOT / "constraints-cluster.txt").read_text().splitlines() if line[0] != "#"]
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[a-z0-9.]+", line)] == []
    assert lines == sorted(lines)
    named = [canonicalize_name(line.partition("==")[0]) for line in lines]
    assert {canonicalize_name(name) for name in PINS} & set(named) == set()
    assert len(set(named)) == len(named)


def test_the_lowest_set_is_the_lowest_that_is_allowed() -> None:
    """After a change of the lower bounds in pyproject.toml, ``make sets`` is due."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    held = read_pins(SETS / f"{LOWEST}.txt")
    for wanted in map(Requirement, project["dependencies"]):
        (bound,) = wanted.specifier
        assert Version(held[wanted.name]) == Version(bound.version), wanted.name
    assert held["apache-airflow"] == next(iter(RELEASES))


@pytest.mark.parametrize("name", KEPT)
def test_the_sets_are_plain(name: str) -> None:
    """A name and a version a line, and nothing about where they come from."""
    lines = (SETS / f"{name}.txt").read_text().splitlines()
    assert len(lines) > 100
    assert [line for line in lines if not re.fullmatch(r"[a-z0-9.-]+==[a-z0-9.]+", line)] == []
    if name != LOWEST:
        assert f"apache-airflow=={name}" in lines


def test_no_set_is_left_that_nothing_goes_by() -> None:
    assert {file.stem for file in SETS.iterdir()} == set(KEPT)
