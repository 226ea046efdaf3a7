"""Apply to a portal that people changed since the plan: what they did is left alone and told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from airflow_bitrix.core.plan import Change
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from tests.operators import applies
from tests.operators.applies import apply, bare, counts, links, make

sandbox = applies.sandbox


def turn_around(lead: int) -> Change:
    """Contacts and primary stay; only the sorts change, which no scan shows."""
    before = links(lead, (1, 10, True), (2, 20, False))
    return Change(before, links(lead, (1, 10, True), (2, 30, False)), ("wanted",), ("made_up",))


# -- what a scan cannot see ---------------------------------------------------------------------------------


def test_changes_of_sorts_alone_are_written_once_and_seen_the_second_time(
    sandbox: Any, tmp_path: Path
) -> None:
    made = make(sandbox, tmp_path, 100, turn_around)
    assert counts(apply(made)) == {"applied": 100}
    rows = [[1, 10, "Y", 0], [2, 30, "N", 0]]
    assert all(owner["links"] == rows for owner in sandbox.links("lead").values())
    # one look, 2 batches of items.get, and 16 changes a request: items.get, items.set, items.get
    assert sandbox.stats()["admitted"] <= 1 + 2 + 7
    again = {**made}
    sandbox.reset_stats()
    assert counts(apply(again, artifacts_path=str(tmp_path / "again"))) == {"already": 100}
    assert sandbox.stats()["writes"] == 0


def test_sorts_that_somebody_changed_meanwhile_are_drift(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 3, turn_around)
    rows = [{"CONTACT_ID": 1, "SORT": 10, "IS_PRIMARY": "Y"}, {"CONTACT_ID": 2, "SORT": 77}]
    Bitrix24Hook().call("crm.lead.contact.items.set", {"id": 2, "items": rows})
    assert counts(apply(made)) == {"applied": 2, "drift": 1}
    assert sandbox.links("lead")["2"]["links"] == [[1, 10, "Y", 0], [2, 77, "N", 0]]


# -- what people do meanwhile ------------------------------------------------------------------------------


def put_back(sandbox: Any, lead: int) -> None:
    Bitrix24Hook().call("crm.lead.contact.add", {"id": lead, "fields": {"CONTACT_ID": 2}})
    assert len(sandbox.links("lead")[str(lead)]["links"]) == 2


def test_what_somebody_put_back_is_never_written_again_however_often_it_is_tried(
    sandbox: Any, tmp_path: Path
) -> None:
    made = make(sandbox, tmp_path, 3)
    assert counts(apply(made)) == {"applied": 3}
    put_back(sandbox, 1)
    for _ in range(3):
        assert counts(apply(made)) == {"applied": 2, "drift": 1}
        assert bare(sandbox) == {2, 3}
    sandbox.state.delete("lead", 1)
    assert counts(apply(made, max_failed=None)) == {"applied": 2, "failed": 1}


def test_a_dry_run_after_a_real_one_hides_no_failure(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 5)
    sandbox.state.delete("lead", 3)
    apply(made, max_failed=None)
    before = (tmp_path / "failed.csv").read_text()
    assert counts(apply(made, is_dry_run=True, max_failed=None)) == {"applied": 4, "failed": 1}
    assert (tmp_path / "failed.csv").read_text() == before


def test_owners_that_are_gone_are_no_sign_that_writing_fails(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 300)
    for lead in range(1, 31):
        sandbox.state.delete("lead", lead)
    done = apply(made, max_failure_share=0.2, max_failed=None)
    assert counts(done) == {"applied": 270, "failed": 30}


def closed(lead: int) -> Change:
    before = links(lead, (1, 10, True), (2, 20, False))
    return Change(before, links(lead), ("unlink_closed",), may_empty=True, holds={"semantic": "F"})


def test_a_lead_that_was_opened_again_keeps_its_contacts(sandbox: Any, tmp_path: Path) -> None:
    made = make(sandbox, tmp_path, 4, closed)
    for lead in (1, 2, 3):
        sandbox.state.update("lead", lead, {"STATUS_ID": "JUNK"})
    sandbox.state.update("lead", 2, {"STATUS_ID": "IN_PROCESS"})
    assert counts(apply(made)) == {"applied": 2, "drift": 2}
    rows = sandbox.links("lead")
    assert [len(rows[str(lead)]["links"]) for lead in (1, 2, 3, 4)] == [0, 2, 0, 2]
    assert "semantic is now 'P', planned from 'F'" in (tmp_path / "failed.csv").read_text()


def test_a_contact_that_was_deleted_since_is_not_linked(sandbox: Any, tmp_path: Path) -> None:
    def other(lead: int) -> Change:
        before = links(lead, (1, 10, True), (2, 20, False))
        return Change(before, links(lead, (1, 10, True), (3 + lead, 20, False)), ("wanted",))

    made = make(sandbox, tmp_path, 4, other)
    sandbox.state.delete("contact", 5)
    assert counts(apply(made)) == {"applied": 3, "drift": 1}
    assert "contact 5, which it links, is no longer there" in (tmp_path / "failed.csv").read_text()
    assert [row[0] for row in sandbox.links("lead")["2"]["links"]] == [1, 2]


def test_a_lead_keeps_what_its_deal_no_longer_holds(sandbox: Any, tmp_path: Path) -> None:
    deals = [sandbox.state.add("deal", {"CONTACT_IDS": [1, 2]}) for _ in range(3)]

    def move(lead: int) -> Change:
        before = links(lead, (1, 10, True), (2, 20, False))
        return Change(before, links(lead), ("moved",), may_empty=True, kept_by=(deals[lead - 1],))

    made = make(sandbox, tmp_path, 3, move)
    sandbox.state.delete("deal", deals[0])
    Bitrix24Hook().call("crm.deal.contact.delete", {"id": deals[1], "fields": {"CONTACT_ID": 2}})
    assert counts(apply(made)) == {"applied": 1, "drift": 2}
    assert [len(sandbox.links("lead")[str(lead)]["links"]) for lead in (1, 2, 3)] == [2, 2, 0]
