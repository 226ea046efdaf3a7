"""Owners whose links cannot arrive in another portal yet: parked, and taken up by a later run."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput, PlanRefused
from airflow_bitrix.files.maps import read_map
from airflow_bitrix.files.parked_owners import Pairing, ParkedOwner, parked_file, read_parked, write_parked
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkMigrationOperator
from tests.operators.pairs import Pair, apply, arguments_of, parked, plan, reconcile

if TYPE_CHECKING:
    from tests.operators.conftest import Portals


def test_what_is_not_there_yet_is_parked_and_taken_up_by_the_next_run(
    make_pair: Any, portals: Portals, tmp_path: Path
) -> None:
    pair = make_pair(contacts=30)
    add = pair.source.state.add
    for contacts in ([1, 2], [3], [4, 5, 6], [7], []):
        add("deal", {"CONTACT_IDS": contacts})
    pair.copy("contact", [1, 2, 3, 4, 6])
    pair.copy("deal", [1, 3, 4])

    first = plan(tmp_path / "1")
    folder = Path(first["parked_file"]).parent
    waiting = {2: "owner not there yet", 3: "contacts not there yet", 4: "contacts not there yet"}
    assert parked(first) == waiting
    assert first["left_out"] == {"contacts not there yet": 2, "owner not there yet": 1}
    reasons = (tmp_path / "1" / "plan" / "left_out.csv").read_text()
    assert "deal 3: no contact of the target matches 5" in reasons
    assert f"{pair.source.base_url}/crm/deal/details/3/" in reasons  # where it stands under that id
    long_ago = re.sub(r'"since":"[^"]*"', '"since":"2020-01-01"', Path(first["parked_file"]).read_text())
    Path(first["parked_file"]).write_text(long_ago)
    apply(first)

    # An incremental run whose filter finds none of them takes them up, each as far as it can.
    pair.copy("contact", [5])
    pair.copy("deal", [2])
    second = plan(tmp_path / "2", filter={">id": 4}, parked_path=str(folder))
    assert (second["read"], second["changes"]) == (4, 2)
    # Those with a change stay until a run finds them right: an apply may fail, or be a dry run.
    assert parked(second) == {2: "planned", 3: "planned", 4: "contacts not there yet"}
    _, *lines = Path(second["parked_file"]).read_text().splitlines()
    assert {json.loads(line)["since"] for line in lines} == {"2020-01-01"}
    third = plan(tmp_path / "3", filter={">id": 4}, parked_path=str(folder))
    assert third["changes"] == 2
    apply(third)

    pair.copy("contact", [7])
    fourth = plan(tmp_path / "4", filter={">id": 4}, parked_path=str(folder))
    assert (fourth["changes"], parked(fourth)) == (1, {4: "planned"})
    apply(fourth)
    fifth = plan(tmp_path / "5", filter={">id": 4}, parked_path=str(folder))
    assert (fifth["changes"], fifth["parked"]) == (0, 0)
    copies = pair.there
    got = portals.rows(pair.target, "deal")
    for deal, contacts in ((1, [1, 2]), (2, [3]), (3, [4, 5, 6]), (4, [7])):
        wanted = [
            (copies["contact", one], 10 * place, "NY"[place == 1]) for place, one in enumerate(contacts, 1)
        ]
        assert got[copies["deal", deal]] == sorted(wanted, key=lambda row: row[1])


def test_an_owner_that_was_parked_and_is_gone_from_the_source_is_named_and_forgotten(
    make_pair: Any, tmp_path: Path
) -> None:
    pair = make_pair(contacts=3)
    pair.source.state.add("deal", {"CONTACT_IDS": [1]})
    first = plan(tmp_path)
    assert parked(first) == {1: "owner not there yet"}
    pair.source.state.delete("deal", 1)
    second = plan(tmp_path)
    assert second["left_out"] == {"gone from the source": 1}
    assert parked(second) == {}


def test_nothing_is_parked_where_there_is_no_plan(make_pair: Any, tmp_path: Path) -> None:
    pair = make_pair(contacts=3)
    pair.source.state.add("deal", {"CONTACT_IDS": [1]})
    first = plan(tmp_path)
    before = Path(first["parked_file"]).read_bytes()
    pair.source.state.add("deal", {"CONTACT_IDS": [2]})
    for portal in (pair.target, pair.source):
        portal.set_switches(scope=["user"])
        with pytest.raises(Bitrix24Error, match="lacks the scope"):
            plan(tmp_path)
        portal.reset_switches()
        assert Path(first["parked_file"]).read_bytes() == before
    Path(first["parked_file"]).write_text("nonsense\n")
    with pytest.raises(PlanRefused, match="is damaged"):
        plan(tmp_path)
    assert Path(first["parked_file"]).read_text() == "nonsense\n"


def test_the_parked_of_a_task_lie_beside_the_folders_of_its_runs(make_pair: Any) -> None:
    make_pair(contacts=3).source.state.add("lead", {"CONTACT_IDS": [1]})
    files = set()
    for run in ("one", "two"):
        ti = SimpleNamespace(task_id="plan_leads", map_index=-1)
        context: Any = {"dag": SimpleNamespace(dag_id="move"), "run_id": run, "ti": ti}
        fields = {**arguments_of(Path(), {"kind": "lead"}), "artifacts_path": ""}
        made = Bitrix24PlanLinkMigrationOperator(task_id="plan_leads", **fields).execute(context)
        files.add(made["parked_file"])
    (found,) = files
    assert "/move/parked/plan_leads/parked-lead." in found
    assert parked({"parked_file": found}) == {1: "owner not there yet"}


def one_owner_of_two_contacts(pair: Pair) -> None:
    """The same deal in both portals, with links to the same contacts."""
    for portal in (pair.source, pair.target):
        for number in (1, 2):
            about = {"ORIGINATOR_ID": "crm", "ORIGIN_ID": str(number), "ASSIGNED_BY_ID": number}
            portal.state.add("contact", about)
        about = {"ORIGINATOR_ID": "crm", "ORIGIN_ID": "1", "ASSIGNED_BY_ID": 1}
        portal.state.add("deal", {**about, "CONTACT_IDS": [1, 2]})


SAME = {"match": "same_origin", "originator": None}


@pytest.mark.parametrize("extra", ["keep", "remove"])
@pytest.mark.parametrize("detail", ["full", "ids"])
def test_a_contact_that_the_source_does_not_let_read_is_parked_and_not_taken_for_gone(
    extra: str, detail: str, make_pair: Any, tmp_path: Path
) -> None:
    pair = make_pair()
    one_owner_of_two_contacts(pair)
    pair.source.set_switches(refuse_contacts_read=[2])
    made = plan(tmp_path, extra=extra, detail=detail, **SAME)
    assert (made["changes"], made["left_out"]) == (0, {"contacts cannot be read": 1})
    assert parked(made) == {1: "contacts cannot be read"}
    reasons = (tmp_path / "plan" / "left_out.csv").read_text()
    assert "the source does not let read contact 2: Access denied." in reasons
    pair.source.reset_switches()
    again = plan(tmp_path, extra=extra, detail=detail, **SAME)
    assert (again["changes"], again["parked"]) == (0, 0)


def test_what_a_user_does_not_see_is_not_removed(make_pair: Any, portals: Portals, tmp_path: Path) -> None:
    pair = make_pair()
    one_owner_of_two_contacts(pair)
    pair.source.set_switches(limited_user=True)
    for work in (plan, reconcile):
        with pytest.raises(
            PlanRefused, match=r"^source_conn_id: .*'bitrix24_source' is no admin.*extra='keep'"
        ):
            work(tmp_path / "remove", extra="remove", **SAME)
    assert pair.target.stats()["writes"] == 0
    made = plan(tmp_path / "keep", **SAME)
    assert (made["changes"], parked(made)) == (0, {1: "contacts cannot be read"})
    assert portals.rows(pair.target, "deal") == {1: [(1, 10, "Y"), (2, 20, "N")]}


def test_maps_and_parked_owners_can_lie_in_object_storage(tmp_path: Path) -> None:
    place = ObjectStoragePath(f"file://{tmp_path}")
    (tmp_path / "map.csv").write_bytes(b"\xef\xbb\xbfold;new\r\n5;6\r\n7;x\r\n")
    rows = read_map(cast("Path", place / "map.csv"), "owner_map")
    at, old, new = next(rows)
    assert (str(at), old, new) == ("line 2", 5, 6)
    with pytest.raises(InvalidInput, match="owner_map: 'line 3: 7,\\(not shown\\)'"):
        next(rows)
    with pytest.raises(InvalidInput, match="a file that is there"):
        next(read_map(cast("Path", place / "none.csv"), "owner_map"))
    pairing = Pairing("deal", "https://old.bitrix24.com", "https://new.bitrix24.com", "origin", "old-crm")
    path = parked_file(cast("Path", place / "parked"), pairing)
    assert read_parked(path, pairing) == {}
    for owners in ([ParkedOwner(5, "why", "reason", "since")], []):
        write_parked(path, pairing, owners)
        assert list(read_parked(path, pairing).values()) == owners


@pytest.mark.parametrize("other", ["source", "originator", "match"])
def test_what_is_parked_for_one_pair_of_portals_is_no_matter_of_another(
    other: str, make_pair: Any, make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    pair = make_pair()
    sources = [pair.source, make_sandbox(plan="self_hosted")]
    portals.connect(second_source=sources[1])
    for source in sources:
        contact = source.state.add("contact", {"NAME": "x"})
        for _ in range(3):
            source.state.add("deal", {"CONTACT_IDS": [contact]})
    fields = {"ORIGINATOR_ID": "b", "UF_CRM_SOURCE_ID": "1", "ORIGIN_ID": "1"}
    pair.target.state.add("contact", fields)
    for number in ("1", "2", "3"):
        pair.target.state.add("deal", {**fields, "UF_CRM_SOURCE_ID": number, "ORIGIN_ID": number})
    given: dict[str, dict[str, Any]] = {
        "source": {"source_conn_id": "second_source", "originator": "b"},
        "originator": {"originator": "b"},
        "match": {"match": "field", "match_field": "ufCrmSourceId", "originator": None},
    }
    folder = str(tmp_path / "parked")
    first = plan(tmp_path / "1", originator="a", filter={"id": 2}, parked_path=folder)
    assert parked(first) == {2: "owner not there yet"}
    made = plan(tmp_path / "2", filter={"id": 3}, parked_path=folder, **given[other])
    # Deal 2 is outside of this run's filter.
    assert (made["changes"], made["parked"]) == (1, 0)
    apply(made)
    assert {deal for deal, rows in portals.rows(pair.target, "deal").items() if rows} == {3}
    assert parked(first) == {2: "owner not there yet"}
    again = plan(tmp_path / "3", originator="a", filter={"id": 3}, parked_path=folder)
    assert again["parked_file"] == first["parked_file"] != made["parked_file"]
    assert parked(again) == {2: "owner not there yet", 3: "owner not there yet"}


@pytest.mark.parametrize("dry", [True, "True"])
def test_a_dry_run_leaves_the_parked_owners_as_they_were(dry: Any, make_pair: Any, tmp_path: Path) -> None:
    pair = make_pair(contacts=5)
    for contacts in ([1], [2]):
        pair.source.state.add("deal", {"CONTACT_IDS": contacts})
    first = plan(tmp_path, is_dry_run=dry)
    assert first["parked_file"] == str(tmp_path / "plan" / "parked.jsonl")
    assert parked(first) == {1: "owner not there yet", 2: "owner not there yet"}
    assert not (tmp_path / "stable").exists()
    real = plan(tmp_path)
    before = Path(real["parked_file"]).read_bytes()
    assert (tmp_path / "plan" / "parked.jsonl").read_bytes() == before
    pair.copy("contact", [1])
    pair.copy("deal", [1])
    tried = plan(tmp_path, is_dry_run=dry, filter={"id": 10**6})
    assert (tried["changes"], parked(tried)) == (1, {1: "planned", 2: "owner not there yet"})
    assert Path(real["parked_file"]).read_bytes() == before
