"""Rules that packages register: found by their entry points, imported when they are looked up."""

from __future__ import annotations

import importlib
import logging
import sys
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.rules import rules_for
from airflow_bitrix.engine.registered_rules import GROUP, Registered, registered_rules

MODULE = """
from airflow_bitrix.rules import Rule

class Named(Rule):
    name = "{name}"
    title = "Named {name}"
    kinds = frozenset({{"lead"}})

    def judge(self, state, facts):
        return None

number = 5
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Install packages that register rules, in a folder of their own."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def add(package: str, points: dict[str, str], module: str) -> Registered:
        (tmp_path / f"{package}.py").write_text(module)
        about = tmp_path / f"{package}-1.2.dist-info"
        about.mkdir()
        (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.2\n")
        lines = [f"{name} = {where}" for name, where in points.items()]
        (about / "entry_points.txt").write_text("\n".join([f"[{GROUP}]", *lines, ""]))
        made.append(package)
        importlib.invalidate_caches()
        of = Distribution.discover(path=[str(tmp_path)])
        return Registered(point for one in of for point in one.entry_points.select(group=GROUP))

    yield add
    for package in made:
        sys.modules.pop(package, None)


def test_a_registered_rule_is_chosen_by_its_name_and_tells_its_package(install: Any) -> None:
    known = install("acme_vip", {"vip": "acme_vip:Named"}, MODULE.format(name="vip"))
    assert list(known) == ["vip"]
    assert "acme_vip" not in sys.modules, "nothing is imported before it is looked up"
    assert known.fitting("deal") == {}
    [(name, rule)] = known.fitting("lead").items()
    assert (name, rule.title, known.version(rule)) == ("vip", "Named vip", "acme_vip 1.2")
    assert list(rules_for("lead", ["vip", "fix_primary"], None, known)) == ["fix_primary", "vip"]


@pytest.mark.parametrize(
    ("points", "module", "said"),
    [
        ({"bad": "acme_bad:Named"}, "raise ValueError('no\\nlicence')", r"ValueError: no\nlicence"),
        ({"bad": "acme_bad:Named"}, "import nowhere_at_all", "No module named 'nowhere_at_all'"),
        ({"bad": "acme_bad:Named"}, "raise SystemExit(3)", "SystemExit: 3"),
        ({"bad": "acme_bad:Gone"}, MODULE.format(name="bad"), "has no attribute 'Gone'"),
        (
            {"bad": "acme_bad:number"},
            MODULE.format(name="bad"),
            "acme_bad:number: it is no class of rules",
        ),
        ({"bad": "acme_bad:Named"}, MODULE.format(name="good"), "the rule calls itself 'good'"),
        ({"bad": "acme_bad:Named"}, MODULE.format(name="No"), "Named.name: 'No' is not accepted"),
        ({"fix_primary": "acme_bad:Named"}, MODULE.format(name="fix_primary"), "its name is one of ours"),
    ],
)
def test_one_that_cannot_be_used_is_named_and_takes_no_other_away(
    points: dict[str, str], module: str, said: str, install: Any, caplog: pytest.LogCaptureFixture
) -> None:
    install("acme_vip", {"vip": "acme_vip:Named"}, MODULE.format(name="vip"))
    known = install("acme_bad", points, module)
    with caplog.at_level(logging.WARNING):
        assert list(known.fitting("lead")) == ["vip"]
        assert list(known.fitting("lead")) == ["vip"]
    [line] = [record.getMessage() for record in caplog.records if "clean-up rule" in record.getMessage()]
    assert said in line
    assert next(iter(points)) in line
    assert "\n" not in line
    if "fix_primary" not in points:
        with pytest.raises(InvalidInput) as caught:
            rules_for("lead", ["bad"], None, known)
        assert said in str(caught.value)
    assert list(rules_for("lead", ["vip"], None, known)) == ["vip"]


def test_a_name_that_two_packages_register_is_nobody_s(install: Any) -> None:
    install("acme_one", {"vip": "acme_one:Named"}, MODULE.format(name="vip"))
    known = install("acme_two", {"vip": "acme_two:Named"}, MODULE.format(name="vip"))
    with pytest.raises(InvalidInput, match=r"^rules: entry point 'vip' .*, too: acme_"):
        known["vip"]


def test_ours_are_registered_by_this_package_and_found_once() -> None:
    known = registered_rules()
    assert {"company_card_primary", "link_found_contact"} <= {*known}
    assert [*known.fitting("lead")] == sorted(known.fitting("lead"))
    assert registered_rules() is known
