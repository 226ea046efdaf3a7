"""Links of one portal in another: exactly those, or parked until they can be."""

from __future__ import annotations

import csv
import json
import random
import re
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput, PlanRefused
from airflow_bitrix.files.maps import read_map
from airflow_bitrix.files.parked_owners import Pairing, ParkedOwner, parked_file, read_parked, write_parked
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from airflow_bitrix.sandbox.links import Link

if TYPE_CHECKING:
    from tests.operators.conftest import Portals, Rows

Fields = Callable[[str, int], dict[str, Any]]
"""What the target's copy of a record of the source carries, by kind and id."""


def by_origin(_kind: str, number: int) -> dict[str, Any]:
    return {"ORIGINATOR_ID": "old-crm", "ORIGIN_ID": str(number)}


def by_field(_kind: str, number: int) -> dict[str, Any]:
    return {"UF_CRM_SOURCE_ID": str(number)}


class Pair:
    """A source with planted cases, and a target that holds copies of its records without their links."""

    def __init__(self, source: Any, target: Any, fields: Fields) -> None:
        self.source, self.target, self._fields = source, target, fields
        self.there: dict[tuple[str, int], int] = {}

    def copy(self, kind: str, numbers: Any, **fields: Any) -> None:
        for number in numbers:
            self.there[kind, number] = self.target.state.add(kind, self._fields(kind, number) | fields)

    def copy_all(self, seed: int = 1) -> None:
        rng = random.Random(seed)
        for kind in ("contact", "lead", "deal"):
            numbers = list(self.source.state.tables[kind].rows)
            rng.shuffle(numbers)
            self.copy(kind, numbers)

    def expected(self, kind: str, portals: Portals) -> dict[int, Rows]:
        """What the target's owners come to where they had no links, worked out from the source."""
        contacts = {number: new for (which, number), new in self.there.items() if which == "contact"}
        found = {}
        for number, owner in self.source.links(kind).items():
            links = [row for row in portals.sorted(owner["links"]) if row[0] in contacts]
            main = portals.main(owner)
            first = main if main in {row[0] for row in links} else next((row[0] for row in links), None)
            rows = [(contacts[contact], sort, "NY"[contact == first]) for contact, sort, _ in links]
            found[self.there[kind, int(number)]] = sorted(rows, key=lambda row: (row[1], row[0]))
        return found


def test_the_portals_of_make_ui_have_something_to_bring_over(
    make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    """With their originator, and nothing else that is not the form's default."""
    size = {"contacts": 100, "plan": "self_hosted"}
    target = make_sandbox(leads=60, originator="old-portal", **size)
    portals.connect(bitrix24_default=target, bitrix24_source=make_sandbox(leads=20, seed=8, **size))
    made = plan(tmp_path, kind="lead", originator="old-portal")
    assert 5 < made["changes"] <= 20


@pytest.fixture
def make_pair(make_sandbox: Any, portals: Portals) -> Callable[..., Pair]:
    def make(fields: Fields = by_origin, **source: Any) -> Pair:
        pair = Pair(
            make_sandbox(**{"plan": "self_hosted", **source}), make_sandbox(plan="self_hosted"), fields
        )
        portals.connect(bitrix24_default=pair.target, bitrix24_source=pair.source)
        return pair

    return make


ORIGIN = {"match": "origin", "originator": "old-crm"}


def arguments_of(folder: Path, given: dict[str, Any]) -> dict[str, Any]:
    common = {"migration": "portal_to_portal", "kind": "deal", "source_conn_id": "bitrix24_source"}
    return {**common, **ORIGIN, "artifacts_path": str(folder), **given}


def plan(folder: Path, **arguments: Any) -> Any:
    fields = {"parked_path": str(folder / "stable"), **arguments_of(folder, arguments)}
    return Bitrix24PlanLinkMigrationOperator(task_id="plan", **fields).execute({})


def apply(made: Any) -> Any:
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=made, is_dry_run=False).execute({})


def reconcile(folder: Path, **arguments: Any) -> Any:
    fields = arguments_of(folder, arguments)
    told = Bitrix24ReconcileContactLinksOperator(task_id="compare", **fields).execute({})
    with Path(told["reconcile_csv"]).open(newline="") as rows:
        return told, list(csv.DictReader(rows))


def parked(made: Any) -> dict[int, str]:
    _, *lines = Path(made["parked_file"]).read_text().splitlines()
    return {line["owner"]: line["why"] for line in map(json.loads, lines)}


def same_origin(pair: Pair) -> dict[str, Any]:
    for kind in ("contact", "lead", "deal"):
        for number, row in pair.source.state.tables[kind].rows.items():
            row |= {"ORIGINATOR_ID": "erp", "ORIGIN_ID": f"{kind[0].upper()}-{number:05d}"}
            copy = pair.target.state.row(kind, pair.there[kind, number])
            copy |= {"ORIGINATOR_ID": "erp", "ORIGIN_ID": row["ORIGIN_ID"]}
    return {"match": "same_origin", "originator": None}


def map_files(pair: Pair, folder: Path, kind: str) -> dict[str, Any]:
    for which in (kind, "contact"):
        pairs = [(old, new) for (one, old), new in pair.there.items() if one == which]
        (folder / f"{which}.csv").write_text("".join(f"{old};{new}\r\n" for old, new in pairs))
    maps = {"owner_map": str(folder / f"{kind}.csv"), "contact_map": str(folder / "contact.csv")}
    return {"match": "map", "originator": None, **maps}


@pytest.mark.parametrize("detail", ["full", "ids"])
@pytest.mark.parametrize("match", ["origin", "field", "same_origin", "map"])
def test_links_arrive_exactly_however_records_are_matched(
    match: str, detail: str, make_pair: Any, portals: Portals, tmp_path: Path
) -> None:
    kind = "lead" if detail == "ids" else "deal"
    pair = make_pair(by_field if match == "field" else by_origin, leads=400, deals=300, contacts=200)
    pair.copy_all()
    how: dict[str, Any] = {"kind": kind, "detail": detail}
    if match == "field":
        how |= {"match": "field", "match_field": "ufCrmSourceId", "originator": None}
    elif match == "same_origin":
        how |= same_origin(pair)
    elif match == "map":
        how |= map_files(pair, tmp_path, kind)
    expected = pair.expected(kind, portals)
    source = pair.source.links("lead"), pair.source.links("deal")
    other = pair.target.links("lead" if kind == "deal" else "deal")

    made = plan(tmp_path, **how)
    assert made["changes"] == sum(bool(rows) for rows in expected.values()) > 100
    assert made["parked"] == 0
    assert set(made["left_out"]) == {"contact gone from the source"}
    done = apply(made)
    assert done["counts"]["applied"] == made["changes"]
    assert portals.rows(pair.target, kind) == expected
    assert pair.target.links("lead" if kind == "deal" else "deal") == other
    assert (pair.source.links("lead"), pair.source.links("deal")) == source
    assert pair.source.stats()["writes"] == 0

    pair.target.reset_stats()
    again = plan(tmp_path / "again", **how)
    assert again["changes"] == 0
    told, rows = reconcile(tmp_path, **how)
    assert {row["difference"] for row in rows} == {"left out"}
    assert told["compared"] == made["changes"]


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


def test_ambiguous_matches_are_left_alone_named_and_parked(
    make_pair: Any, portals: Portals, tmp_path: Path
) -> None:
    pair = make_pair(contacts=9)
    for contacts in ([1], [2], [3]):
        pair.source.state.add("deal", {"CONTACT_IDS": contacts})
    pair.copy("contact", [1, 2, 3, 3])
    pair.copy("deal", [1, 2, 2, 3])
    made = plan(tmp_path)
    assert (made["changes"], made["left_out"]) == (1, {"ambiguous": 2})
    assert parked(made) == {2: "ambiguous", 3: "ambiguous"}
    reasons = (tmp_path / "plan" / "left_out.csv").read_text()
    assert "deal 2: deals 2 and 3 of the target match" in reasons
    assert "deal 3: several contacts of the target match contact 3: 3 and 4" in reasons
    apply(made)
    assert portals.rows(pair.target, "deal") == {1: [(1, 10, "Y")], 2: [], 3: [], 4: []}
    _, rows = reconcile(tmp_path)
    assert [(row["difference"], row["source_owner"], row["source_contact"]) for row in rows] == [
        ("parked", "2", ""),
        ("parked", "3", "3"),
    ]


def test_two_owners_of_the_source_with_one_origin_are_left_alone(make_pair: Any, tmp_path: Path) -> None:
    pair = make_pair(contacts=2)
    for _ in range(3):
        pair.source.state.add("lead", {"CONTACT_IDS": [1]})
    pair.copy_all()
    how = same_origin(pair)
    pair.source.state.row("lead", 3)["ORIGIN_ID"] = pair.source.state.row("lead", 1)["ORIGIN_ID"]
    made = plan(tmp_path, kind="lead", filter={"@id": [1, 2]}, **how)
    assert (made["changes"], made["left_out"]) == (1, {"ambiguous": 1})
    assert "lead 1: leads 1 and 3 of the source are alike" in (tmp_path / "plan" / "left_out.csv").read_text()


def test_origins_that_are_merely_alike_do_not_match(make_pair: Any, tmp_path: Path) -> None:
    """The portal compares texts without regard to case."""
    pair = make_pair(contacts=2)
    pair.source.state.add("deal", {"CONTACT_IDS": [1], "ORIGINATOR_ID": "erp", "ORIGIN_ID": "AbC"})
    pair.target.state.add("deal", {"ORIGINATOR_ID": "erp", "ORIGIN_ID": "aBc"})
    made = plan(tmp_path, match="same_origin", originator=None)
    assert parked(made) == {1: "owner not there yet"}


@pytest.mark.parametrize("detail", ["full", "ids"])
def test_what_only_the_target_has_is_kept_behind_or_removed(
    detail: str, make_pair: Any, portals: Portals, tmp_path: Path
) -> None:
    pair = make_pair(contacts=9)
    add = pair.source.state.add
    for contacts in ([2, 1], [3], [], [4, 5], [1, 2]):
        add("deal", {"CONTACT_IDS": contacts})
    pair.copy("contact", range(1, 10))
    pair.copy("deal", [1], CONTACT_IDS=[7, 1])
    pair.copy("deal", [2], CONTACT_IDS=[3, 8, 9])
    pair.copy("deal", [3], CONTACT_IDS=[6])
    pair.copy("deal", [4], CONTACT_IDS=[4, 5])
    pair.copy("deal", [5], CONTACT_IDS=[2, 1])
    told, rows = reconcile(tmp_path, detail=detail, extra="remove")
    assert {(row["difference"], row["source_owner"], row["target_contact"]) for row in rows} == {
        ("missing", "1", "2"),
        ("extra", "1", "7"),
        ("extra", "2", "8"),
        ("extra", "2", "9"),
        ("left out", "3", ""),
        ("primary", "5", "1"),
        ("order", "5", "2"),
    }
    assert told["differences"] == len(rows)

    kept = plan(tmp_path / "keep", detail=detail, filter={"@id": [1, 2, 3, 4]})
    assert kept["changes"] == 1
    apply(kept)
    assert portals.rows(pair.target, "deal")[1] == [(2, 10, "Y"), (1, 20, "N"), (7, 30, "N")]
    assert plan(tmp_path / "keep2", detail=detail, filter={"<=id": 4})["changes"] == 0

    removed = plan(tmp_path / "remove", detail=detail, extra="remove", filter={"<=id": 4})
    assert (removed["changes"], removed["left_out"]) == (2, {"no contacts in the source": 1})
    apply(removed)
    assert portals.rows(pair.target, "deal") == {
        1: [(2, 10, "Y"), (1, 20, "N")],
        2: [(3, 10, "Y")],
        3: [(6, 10, "Y")],
        4: [(4, 10, "Y"), (5, 20, "N")],
        5: [(2, 10, "Y"), (1, 20, "N")],
    }


def test_sorts_are_compared_where_they_are_asked_for(make_pair: Any, tmp_path: Path) -> None:
    pair = make_pair(contacts=3)
    pair.source.state.add("deal", {"CONTACT_IDS": [1, 2]})
    pair.copy("contact", [1, 2])
    pair.copy("deal", [1])
    pair.target.state.write_links("deal", 1, (Link(10, 1, primary=True), Link(45, 2)))
    assert plan(tmp_path, detail="ids")["changes"] == reconcile(tmp_path, detail="ids")[0]["differences"] == 0
    made = plan(tmp_path)
    lines = (Path(made["plan"]) / "part-00000.jsonl").read_text().splitlines()
    assert [json.loads(line)["after"] for line in lines] == [[[1, 10, True, 0], [2, 20, False, 0]]]
    _, rows = reconcile(tmp_path)
    assert [(row["difference"], row["target_contact"], row["detail"]) for row in rows] == [
        ("sort", "2", "is 45, wanted 20")
    ]


def test_under_faults_in_both_portals_the_end_is_the_same(
    make_pair: Any, portals: Portals, tmp_path: Path
) -> None:
    pair = make_pair(leads=150, deals=250, contacts=150)
    pair.copy_all()
    expected = pair.expected("deal", portals)
    for portal in (pair.source, pair.target):
        portal.set_faults(seed=3, throttle=0.1, html=0.05, command=0.02)
    made = plan(tmp_path)
    assert min(sum(portal.stats()["faults"].values()) for portal in (pair.source, pair.target)) > 0
    pair.source.set_faults(throttle=1.0)  # the apply needs the target alone
    apply(made)
    pair.target.clear_faults()
    assert portals.rows(pair.target, "deal") == expected


def test_comparing_ids_of_a_portal_that_is_right_takes_a_few_requests(make_pair: Any, tmp_path: Path) -> None:
    pair = make_pair(leads=10, deals=2000, contacts=500)
    pair.copy_all()
    apply(plan(tmp_path))
    used = {}
    for detail in ("ids", "full"):
        pair.source.reset_stats()
        pair.target.reset_stats()
        assert plan(tmp_path / detail, detail=detail)["changes"] == 0
        used[detail] = (pair.source.stats()["admitted"], pair.target.stats()["admitted"])
    # Source: the scan, and twice whether the contacts without a counterpart are there. Target: owners by
    # origin, contacts by origin, links of the owners, its fields.
    assert used["ids"][0] <= 4
    assert used["ids"][1] <= 6
    assert used["full"][0] >= 1600 / 50


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


def test_of_two_connections_the_one_that_cannot_be_right_is_named(
    make_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = make_pair(by_origin)
    monkeypatch.setenv(
        "AIRFLOW_CONN_BITRIX24_SOURCE", json.dumps({"conn_type": "bitrix24", "host": "a.example"})
    )
    with pytest.raises(
        InvalidInput, match=r"^source_conn_id: a field of connection bitrix24_source .* password"
    ):
        plan(tmp_path)
    assert pair.target.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"source_conn_id": None}, "source_conn_id"),
        ({"source_conn_id": "nope"}, "source_conn_id"),
        ({"bitrix24_conn_id": "nope"}, "bitrix24_conn_id"),
        ({"source_conn_id": "bitrix24_default"}, "source_conn_id"),
        ({"match": "name"}, "match"),
        ({"originator": ""}, "originator"),
        ({"originator": 1.1}, "originator"),
        ({"match": "field", "match_field": 17}, "match_field"),
        ({"match": "field"}, "match_field"),
        ({"match": "map"}, "owner_map"),
        ({"match": "map", "owner_map": {1: 2, 3: 2}, "contact_map": {1: 1}}, "owner_map"),
        ({"match": "map", "owner_map": {1: 2}}, "contact_map"),
        ({"match": "map", "owner_map": [[1, 2], [1, 3]], "contact_map": {1: 1}}, "owner_map"),
        ({"kind": None}, "kind"),
        ({"extra": "drop"}, "extra"),
        ({"detail": "most"}, "detail"),
        ({"save": True}, "save"),
    ],
)
def test_an_argument_that_cannot_be_right_is_refused_before_anything_is_sent(
    arguments: dict[str, Any], argument: str, make_pair: Any, tmp_path: Path
) -> None:
    pair = make_pair(contacts=3)
    with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: "):
        plan(tmp_path, **arguments)
    with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: "):
        reconcile(tmp_path, **arguments)
    assert pair.source.stats()["admitted"] == pair.target.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"match": "field", "match_field": "ufCrmNone"}, "match_field: 'ufCrmNone' .*of a deal: .*ufCrmS"),
        ({"filter": {"stagId": "NEW"}}, "filter: 'stagId' is not accepted"),
    ],
)  # fmt: skip
def test_a_field_that_a_portal_does_not_have_is_refused(
    arguments: dict[str, Any], said: str, make_pair: Any, tmp_path: Path
) -> None:
    make_pair(contacts=3)
    with pytest.raises(InvalidInput, match=said):
        plan(tmp_path, **arguments)


def test_maps_and_parked_owners_can_lie_in_object_storage(tmp_path: Path) -> None:
    place = ObjectStoragePath(f"file://{tmp_path}")
    (tmp_path / "map.csv").write_bytes(b"\xef\xbb\xbfold;new\r\n5;6\r\n7;x\r\n")
    rows = read_map(cast("Path", place / "map.csv"), "owner_map")
    assert next(rows) == ("line 2", 5, 6)
    with pytest.raises(InvalidInput, match="owner_map: 'line 3: 7,x'"):
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


def test_records_that_share_an_origin_by_the_dozen_hide_no_others(make_pair: Any, tmp_path: Path) -> None:
    """More records match than fit on a page: those behind it are read too."""
    pair = make_pair(contacts=2)
    for _ in range(30):
        pair.source.state.add("deal", {"CONTACT_IDS": [1]})
    pair.copy("contact", [1, 2])
    pair.copy("deal", [1] * 120)
    pair.copy("deal", range(2, 31))
    made = plan(tmp_path)
    assert (made["changes"], made["left_out"]) == (29, {"ambiguous": 1})
