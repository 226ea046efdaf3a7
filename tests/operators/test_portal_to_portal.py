"""Links of one portal in another: exactly those."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.sandbox.links import Link
from tests.operators.pairs import Pair, apply, by_field, by_origin, map_files, parked, plan, reconcile

if TYPE_CHECKING:
    from tests.operators.conftest import Portals


def test_the_portals_of_make_ui_have_something_to_bring_over(
    make_sandbox: Any, portals: Portals, tmp_path: Path
) -> None:
    """With their originator, and nothing else that is not the form's default."""
    size = {"contacts": 100, "plan": "self_hosted"}
    target = make_sandbox(leads=60, originator="old-portal", **size)
    portals.connect(bitrix24_default=target, bitrix24_source=make_sandbox(leads=20, seed=8, **size))
    made = plan(tmp_path, kind="lead", originator="old-portal")
    assert 5 < made["changes"] <= 20


def same_origin(pair: Pair) -> dict[str, Any]:
    for kind in ("contact", "lead", "deal"):
        for number, row in pair.source.state.tables[kind].rows.items():
            row |= {"ORIGINATOR_ID": "erp", "ORIGIN_ID": f"{kind[0].upper()}-{number:05d}"}
            copy = pair.target.state.row(kind, pair.there[kind, number])
            copy |= {"ORIGINATOR_ID": "erp", "ORIGIN_ID": row["ORIGIN_ID"]}
    return {"match": "same_origin", "originator": None}


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
    # origin, contacts by origin, links of the owners, its fields. Both: who sees it.
    assert used["ids"][0] <= 5
    assert used["ids"][1] <= 7
    assert used["full"][0] >= 1600 / 50


def test_of_two_connections_the_one_that_cannot_be_right_is_named(
    make_pair: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair = make_pair(by_origin)
    monkeypatch.setenv(
        "AIRFLOW_CONN_BITRIX24_SOURCE", json.dumps({"conn_type": "bitrix24", "host": "a.example"})
    )
    with pytest.raises(
        InvalidInput, match=r"^connection 'bitrix24_source': Webhook code \(password\): '' is not accepted"
    ):
        plan(tmp_path)
    assert pair.target.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"source_conn_id": None}, "source_conn_id"),
        ({"source_conn_id": "nope"}, "source_conn_id"),
        ({"source_conn_id": "reports_db"}, "source_conn_id"),
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
        ({"owner_map": {1: 2}}, "owner_map"),
        ({"contact_map_file": "/nowhere.csv"}, "contact_map_file"),
        ({"match": "same_origin", "originator": "old-crm"}, "originator"),
        ({"match": "map", "owner_map": {1: 2}, "contact_map": {1: 1}, "match_field": "x"}, "match_field"),
        ({"kind": None}, "kind"),
        ({"extra": "drop"}, "extra"),
        ({"detail": "most"}, "detail"),
        ({"save": True}, "save"),
    ],
)
def test_an_argument_that_cannot_be_right_is_refused_before_anything_is_sent(
    arguments: dict[str, Any],
    argument: str,
    make_pair: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair = make_pair(contacts=3)
    monkeypatch.setenv("AIRFLOW_CONN_REPORTS_DB", "postgres://1:open-sesame@db.example/reports")
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
