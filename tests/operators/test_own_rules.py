"""Rules of one's own: planned, applied, checked and taken back as ours are, and held to the same guards."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG

from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.operators.link_plans import (
    Bitrix24CheckLinkPlanOperator,
    Bitrix24PlanLinkCleanupOperator,
)
from airflow_bitrix.rules import Facts, LeftOut, Needs, OwnerState, Rule, Verdict, Wish, with_added, without
from tests.moved import DagSerialization
from tests.operators import restores
from tests.operators.restores import apply, changes_of, restore

sandbox = restores.sandbox


class SecondOpinion(Rule):
    """Link a contact to leads of a source; ours have no such thing."""

    name = "second_opinion"
    title = "Second opinion: <b>link</b> a contact to leads of a source"
    kinds = frozenset({"lead"})
    version = "2026-11"
    also = ("sourceId",)

    contact: int
    source: str = "WEB"

    def filter(self, now: datetime) -> Mapping[str, str]:
        del now
        return {"=sourceId": self.source}

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        del facts
        if self.contact in state.links.contact_ids:
            return LeftOut("has it", "linked already")
        assert state.fields["sourceId"] == self.source
        return Wish(with_added(state.links, [self.contact]), f"contact {self.contact} gives an opinion")


class Failing(Rule):
    """Raise an error of every so many owners."""

    name = "failing"
    title = "Failing: raise errors"

    every: int = 1
    where: str = "judge"

    def needs(self, state: OwnerState, facts: Facts) -> Needs:
        if self.where == "needs" and state.owner.id % self.every == 0:
            raise ZeroDivisionError("no luck")
        return super().needs(state, facts)

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        del facts
        if self.where == "judge" and state.owner.id % self.every == 0:
            raise LookupError("no luck")
        return None

    def filter(self, now: datetime) -> Mapping[str, str]:
        if self.where == "filter":
            raise LookupError("no luck")
        return super().filter(now)


class TakeAll(Rule):
    """Take all contacts away, and not say that this may be."""

    name = "take_all"
    title = "Take all"

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        del facts
        linked = state.links.contact_ids
        return Wish(without(state.links, linked), "take all") if linked else None


def plan(folder: Path, *rules: Any, **arguments: Any) -> Any:
    fields = {"rules": list(rules), "artifacts_path": str(folder), **arguments}
    return Bitrix24PlanLinkCleanupOperator(task_id="plan", **fields).execute({})


def left_out(made: Any) -> list[tuple[str, str]]:
    with (Path(made["plan"]) / "left_out.csv").open(newline="") as rows:
        return [(row["why"], row["reason"]) for row in csv.DictReader(rows)]


def test_a_rule_that_adds_links_goes_the_whole_way_and_back(sandbox: Any, tmp_path: Path) -> None:
    before = sandbox.links("lead")
    made = plan(tmp_path, SecondOpinion(contact=17))
    planned = changes_of(made)
    of_source = {one for one, row in sandbox.state.tables["lead"].rows.items() if row["SOURCE_ID"] == "WEB"}
    linked = {one for one in of_source if 17 in [row[0] for row in before[str(one)]["links"]]}
    assert set(planned) == of_source - linked
    assert made["left_out"] == ({"has it": len(linked)} if linked else {})
    several = next(change for change in planned.values() if len(change.before.links) > 1)
    assert several.after.contact_ids == (*several.before.contact_ids, 17), "behind those that are there"
    assert several.after.primary_id == several.before.primary_id
    alone = next(change for change in planned.values() if not change.before.links)
    assert alone.after.as_json() == [[17, 10, True, 0]]

    manifest = read_manifest(Path(made["plan"]))
    [note] = manifest.rule_notes
    assert (note.name, note.title, note.version) == ("second_opinion", SecondOpinion.title, "2026-11")
    other = plan(tmp_path / "other", SecondOpinion(contact=18))
    assert read_manifest(Path(other["plan"])).rule_notes[0].options != note.options

    applied = apply(tmp_path, made)
    assert applied["counts"]["applied"] == len(planned)
    fields = {"plan": made, "is_dry_run": False, "artifacts_path": str(tmp_path)}
    checked = Bitrix24CheckLinkPlanOperator(task_id="check", **fields).execute({})
    report = Path(checked["report"]).read_text()
    assert "Second opinion: &lt;b&gt;link&lt;/b&gt; a contact to leads of a source" in report
    assert "Lead link clean-up" in report
    assert apply(tmp_path / "back", restore(tmp_path, journal=applied))["counts"]["failed"] == 0
    # Links of which none was primary cannot be brought back without one.
    assert {one: [row[:2] for row in owner["links"]] for one, owner in sandbox.links("lead").items()} == {
        one: [row[:2] for row in owner["links"]] for one, owner in before.items()
    }


def test_a_contact_that_is_not_there_is_not_linked(sandbox: Any, tmp_path: Path) -> None:
    sandbox.set_switches(refuse_contacts_read=[18])
    for contact, reason in ((999_999, "is there no more"), (18, "cannot be read: ")):
        made = plan(tmp_path, SecondOpinion(contact=contact))
        assert made["changes"] == 0
        assert {why for why, _ in left_out(made)} == {"contact to link is not there"}
        assert all(f"contact {contact} {reason}" in said for _, said in left_out(made))


@pytest.mark.parametrize("where", ["judge", "needs"])
def test_an_owner_of_which_a_rule_raises_an_error_is_left_out(
    where: str, sandbox: Any, tmp_path: Path
) -> None:
    del sandbox
    made = plan(tmp_path, "fix_primary", Failing(every=7, where=where))
    assert made["read"] == 700
    assert made["left_out"]["a rule failed"] == 100
    assert not {one for one in changes_of(made) if one % 7 == 0}
    assert changes_of(made)
    error = {"judge": "LookupError", "needs": "ZeroDivisionError"}[where]
    assert ("a rule failed", f"failing raised {error}: no luck") in left_out(made)


def test_a_rule_that_raises_errors_too_often_ends_the_plan(sandbox: Any, tmp_path: Path) -> None:
    del sandbox
    said = r"rules raised errors of 233 of 700 owners.* allows 20.0%; the first: lead 3: failing raised"
    with pytest.raises((PlanRefused, AirflowFailException), match=said):
        plan(tmp_path, Failing(every=3))
    assert plan(tmp_path, Failing(every=3), max_error_share=None)["left_out"] == {"a rule failed": 233}
    with pytest.raises(AirflowFailException, match=r"max_error_share allows 0\.0%"):
        plan(tmp_path, Failing(every=700), max_error_share=0)
    with pytest.raises((InvalidInput, AirflowFailException), match=r"^max_error_share: 'much'"):
        plan(tmp_path, Failing(), max_error_share="much")


def test_a_filter_that_raises_ends_the_plan_before_anything_is_sent(sandbox: Any, tmp_path: Path) -> None:
    with pytest.raises(AirflowFailException, match=r"^rules: failing raised LookupError: no luck"):
        plan(tmp_path, Failing(where="filter"))
    assert sandbox.stats()["admitted"] == 0


def test_a_rule_that_has_a_reason_for_each_owner_fills_no_manifest(sandbox: Any, tmp_path: Path) -> None:
    class EachItsOwn(TakeAll):
        name = "each_its_own"

        def judge(self, state: OwnerState, facts: Facts) -> Verdict:
            del facts
            return LeftOut(f"because of {state.owner}", "why")

    del sandbox
    made = plan(tmp_path, EachItsOwn())
    assert len(made["left_out"]) == 51
    assert made["left_out"]["other reasons"] == 650


def test_a_rule_is_held_to_the_guards(sandbox: Any, tmp_path: Path) -> None:
    del sandbox
    made = plan(tmp_path, TakeAll)
    assert made["changes"] == made["emptied"] == 0
    assert list(made["left_out"]) == ["would be left without contacts"]
    over = plan(tmp_path, SecondOpinion(contact=17), max_changes=3)
    with pytest.raises(AirflowFailException, match="max_changes allows 3"):
        apply(tmp_path, over)


def test_what_a_dag_says_outright_is_checked_when_it_is_parsed() -> None:
    with pytest.raises(AirflowFailException, match=r"^rule_options\['second_opinion'\]\['contact'\]: None"):
        Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=[SecondOpinion])
    with pytest.raises(AirflowFailException, match=r"^rules: 'second_opinion' .* for deals$"):
        Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=[SecondOpinion(contact=1)], kind="deal")


def test_a_dag_with_rules_of_one_s_own_is_kept_by_airflow_as_any() -> None:
    with DAG("own", schedule=None) as dag:
        Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=["fix_primary", SecondOpinion(contact=17)])
        Bitrix24PlanLinkCleanupOperator.partial(task_id="each", rules=[SecondOpinion(contact=17)]).expand(
            stages=[["NEW"], ["JUNK"]]
        )
    kept = json.dumps(DagSerialization.to_dict(dag), default=str)
    assert kept == json.dumps(DagSerialization.to_dict(dag), default=str), "it is the same each time"
    assert "SecondOpinion(contact=17, source='WEB')" in kept
    assert " at 0x" not in kept
