"""Links of one portal in another, for the kinds of owners beside leads and deals."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import family_of
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkMigrationOperator
from tests.operators.pairs import Pair, apply, by_field, by_origin, map_files, plan, reconcile

if TYPE_CHECKING:
    from tests.operators.conftest import Portals

SIZES = {"quote": "quotes", "company": "companies", "smart_invoice": "invoices", "dynamic_1036": "items"}
FIELD = {"match": "field", "match_field": "ufCrmSourceId", "originator": None}

WAYS = [
    ("quote", "field"),
    ("quote", "map"),
    ("company", "origin"),
    ("company", "field"),
    ("company", "map"),
    ("smart_invoice", "map"),
    ("dynamic_1036", "map"),
]


def without_names(_kind: str, _number: int) -> dict[str, Any]:
    return {}


CARRIED = {"origin": by_origin, "field": by_field, "map": without_names}


def how_to(match: str, pair: Pair, kind: str, folder: Path) -> dict[str, Any]:
    if match == "map":
        return map_files(pair, folder, kind)
    return FIELD if match == "field" else {}


def expected(pair: Pair, kind: str, portals: Portals) -> dict[int, Any]:
    """What the target comes to: what is saved is numbered anew, with the primary contact first."""
    found: dict[int, Any] = {}
    for owner, rows in pair.expected(kind, portals).items():
        if family_of(kind).is_shared:
            found[owner] = {contact for contact, *_ in rows}
        elif family_of(kind).is_saved:
            first = sorted(rows, key=lambda row: row[2] == "N")
            found[owner] = [(row[0], 10 * place, "NY"[place == 1]) for place, row in enumerate(first, 1)]
        else:
            found[owner] = rows
    return found


def held(pair: Pair, kind: str, portals: Portals) -> dict[int, Any]:
    rows = portals.rows(pair.target, kind)
    is_shared = family_of(kind).is_shared
    return {owner: {row[0] for row in found} if is_shared else found for owner, found in rows.items()}


@pytest.mark.parametrize(("kind", "match"), WAYS)
def test_links_arrive_exactly(
    kind: str, match: str, make_pair: Any, portals: Portals, tmp_path: Path
) -> None:
    pair = make_pair(CARRIED[match], contacts=80, **{SIZES[kind]: 120})
    pair.copy_all(kinds=[kind])
    how = {"kind": kind, **how_to(match, pair, kind, tmp_path)}
    wanted, source = expected(pair, kind, portals), pair.source.links(kind)
    made = plan(tmp_path, **how, allow_saving=family_of(kind).is_saved)
    assert made["changes"] == sum(bool(links) for links in wanted.values()) > 15
    assert made["parked"] == 0
    assert apply(made)["counts"]["applied"] == made["changes"]
    assert held(pair, kind, portals) == wanted
    assert pair.source.links(kind) == source
    assert pair.source.stats()["writes"] == 0
    for detail in ("full", "ids"):
        again = plan(tmp_path / detail, **how, detail=detail, allow_saving=family_of(kind).is_saved)
        assert again["changes"] == 0
        told, rows = reconcile(tmp_path / detail, **how, detail=detail)
        assert {row["difference"] for row in rows} <= {"left out"}
        assert told["compared"] == made["changes"]


def test_of_companies_that_are_right_whatever_their_order_no_links_are_asked_for(
    make_pair: Any, tmp_path: Path
) -> None:
    """Their order and sorts are their contacts', and nothing that a comparison of ids has to know."""
    pair = make_pair(contacts=5)
    pair.source.state.add("company", {"CONTACT_IDS": [2, 1, 3]})
    pair.copy("contact", [1, 2, 3])
    pair.copy("company", [1], CONTACT_IDS=[3, 1, 2])
    pair.target.reset_stats()
    assert plan(tmp_path, kind="company", detail="ids")["changes"] == 0
    assert "crm.company.contact.items.get" not in pair.target.stats()["commands_in_batches"]


@pytest.mark.parametrize("kind", ["quote", "smart_invoice", "dynamic_1036"])
@pytest.mark.parametrize("match", ["origin", "same_origin"])
def test_what_has_no_origin_is_not_matched_by_it(
    kind: str, match: str, make_pair: Any, tmp_path: Path
) -> None:
    pair = make_pair(contacts=3)
    said = rf"^match: '{match}' is not accepted; accepted: 'field' or 'map', as .* have neither ORIGINATOR_ID"
    for make in (plan, reconcile):
        with pytest.raises(InvalidInput, match=said):
            make(tmp_path, kind=kind, match=match, originator="old-crm" if match == "origin" else None)
    assert pair.source.stats()["admitted"] == pair.target.stats()["admitted"] == 0


def test_what_is_saved_is_refused_unless_the_author_allows_it(make_pair: Any, tmp_path: Path) -> None:
    pair = make_pair(contacts=3, invoices=5)
    pair.copy_all(kinds=["smart_invoice"])
    how = map_files(pair, tmp_path, "smart_invoice")
    with pytest.raises(InvalidInput, match=r"^allow_saving: False is not accepted"):
        plan(tmp_path, kind="smart_invoice", **how)
    assert pair.source.stats()["admitted"] == pair.target.stats()["admitted"] == 0


def test_a_dag_that_matches_quotes_by_their_origin_is_refused_when_it_is_parsed() -> None:
    given: Any = {"migration": "portal_to_portal", "kind": "quote", "source_conn_id": "old"}
    Bitrix24PlanLinkMigrationOperator(task_id="plan", match="{{ params.match }}", **given)
    with pytest.raises(AirflowFailException, match=r"^match: 'origin' is not accepted"):
        Bitrix24PlanLinkMigrationOperator(task_id="plan", **given)
