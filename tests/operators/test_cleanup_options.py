"""What a clean-up is told beside its rules: which owners, and how the rules shall work."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.sandbox.seed import NOW
from tests.operators.cleanups import plan, sandbox

__all__ = ["sandbox"]


def test_the_user_s_own_filter_narrows_what_a_rule_looks_at(sandbox: Any, tmp_path: Path) -> None:
    expected = sandbox.truth()["expected"]["remove_dangling"]["lead"]
    half = sorted(map(int, expected))[len(expected) // 2]
    wanted = {"logic": "OR", "<id": half, "=id": half}
    _, changes = plan(tmp_path, "lead", ["remove_dangling"], filter=wanted)
    assert {change.owner.id for change in changes} == {int(one) for one in expected if int(one) <= half}


def test_two_ages_of_one_date_are_both_kept_to(sandbox: Any, tmp_path: Path) -> None:
    closed = sandbox.truth()["expected"]["unlink_closed"]["deal"]
    days = (datetime.now(UTC) - datetime.fromtimestamp(NOW, UTC)).days + 300
    options = {"unlink_closed": {"days": 10, "since": "created"}}
    _, changes = plan(tmp_path, "deal", ["unlink_closed"], rule_options=options, older_than_days=days)
    until = datetime.now(UTC) - timedelta(days=days)
    old = {int(one) for one, dates in closed.items() if datetime.fromisoformat(dates["created"]) <= until}
    assert {change.owner.id for change in changes} == old


@pytest.mark.parametrize("timezone", ["UTC", "Asia/Kamchatka", "America/Adak"])
def test_days_of_creation_begin_and_end_in_a_time_zone(sandbox: Any, tmp_path: Path, timezone: str) -> None:
    """Both days count; twelve hours ahead or ten behind, other owners are within them."""
    closed = sandbox.truth()["expected"]["unlink_closed"]["deal"]
    created = {int(one): datetime.fromisoformat(dates["created"]) for one, dates in closed.items()}
    days = {one: moment.astimezone(ZoneInfo(timezone)).date() for one, moment in created.items()}
    first, last = sorted(days.values())[len(days) // 4], sorted(days.values())[len(days) // 2]
    wanted = {one for one, day in days.items() if first <= day <= last}
    assert 0 < len(wanted) < len(days)
    options = {"unlink_closed": {"days": 0}}
    _, changes = plan(
        tmp_path,
        "deal",
        ["unlink_closed"],
        rule_options=options,
        created_from=first,
        created_to=str(last),
        timezone=timezone,
    )
    assert {change.owner.id for change in changes} == wanted


@pytest.mark.parametrize(
    ("options", "argument"),
    [
        ("days=3", "rule_options"),
        ({"unlink": {}}, "rule_options"),
        ({"unlink_closed": 5}, r"rule_options\['unlink_closed'\]"),
        ({"unlink_closed": []}, r"rule_options\['unlink_closed'\]"),
        ({"unlink_closed": {"day": 5}}, r"rule_options\['unlink_closed'\]"),
        ({"release_repeat_leads": {"day": 5}}, r"rule_options\['release_repeat_leads'\]"),
        ({"unlink_closed": {"days": "soon"}}, r"rule_options\['unlink_closed'\]\['days'\]"),
        ({"unlink_closed": {"days": -1}}, r"rule_options\['unlink_closed'\]\['days'\]"),
        ({"unlink_closed": {"days": 1.5}}, r"rule_options\['unlink_closed'\]\['days'\]"),
        ({"unlink_closed": {"days": True}}, r"rule_options\['unlink_closed'\]\['days'\]"),
        ({"unlink_closed": {"days": 10**9}}, r"rule_options\['unlink_closed'\]\['days'\]"),
        ({"unlink_closed": {"since": "lost"}}, r"rule_options\['unlink_closed'\]\['since'\]"),
        ({"merge_same_person": {"survivor": "best"}}, r"rule_options\['merge_same_person'\]\['survivor'\]"),
        ({"merge_same_person": {"match": ["phone"]}}, r"rule_options\['merge_same_person'\]\['match'\]"),
        ({"merge_same_person": {"region": "XX"}}, r"rule_options\['merge_same_person'\]\['region'\]"),
        ({"merge_same_person": {"region": 7}}, r"rule_options\['merge_same_person'\]\['region'\]"),
        ({"merge_same_person": {"shared_by": 1}}, r"rule_options\['merge_same_person'\]\['shared_by'\]"),
        ({"trim_company_contacts": {"keep": {}}}, r"rule_options\['trim_company_contacts'\]\['keep'\]"),
        ({"fix_primary": {"believe": "me"}}, r"rule_options\['fix_primary'\]\['believe'\]"),
        (
            {"remove_dangling": {"believe_any_user": 1}},
            r"rule_options\['remove_dangling'\]\['believe_any_user'\]",
        ),
    ],
)
def test_an_option_that_cannot_be_right_is_refused_by_name(
    options: Any, argument: str, sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: ") as refused:
        plan(tmp_path, "deal", ["fix_primary"], rule_options=options)
    assert isinstance(refused.value, AirflowFailException)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize(
    "options", [None, "", "None", {}, {"unlink_closed": None}, {"fix_primary": {"believe": ""}}]
)
def test_options_that_were_left_open_keep_their_defaults(options: Any, sandbox: Any, tmp_path: Path) -> None:
    made, _ = plan(tmp_path, "deal", ["fix_primary"], rule_options=options)
    assert made["changes"] == len(sandbox.truth()["expected"]["fix_primary"]["deal"])
