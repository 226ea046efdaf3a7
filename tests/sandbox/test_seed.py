"""The made-up records are repeatable, and the truth about them is what the records say."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.schema import RECORDS
from airflow_bitrix.sandbox.seed import NOW, SPAN, seeded
from airflow_bitrix.sandbox.server import Sandbox
from airflow_bitrix.sandbox.truth import truth_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow_bitrix.sandbox.schema import Kind
    from airflow_bitrix.sandbox.state import State


SMALL: Any = {"leads": 300, "deals": 300, "contacts": 250, "seed": 7, "clock": Clock(time=lambda: 0.0)}


def _state(leads: int = 300, deals: int = 300, contacts: int = 250, seed: int = 7) -> State:
    return seeded(leads=leads, deals=deals, contacts=contacts, seed=seed, clock=Clock(time=lambda: 0.0))


def _content(state: State, kind: Kind) -> list[Any]:
    return [(row, state.links(kind, row_id)) for row_id, row in state.tables[kind].rows.items()]


@pytest.mark.parametrize("kind", ["lead", "deal", "contact"])
def test_the_same_seed_makes_the_same_records(kind: Kind) -> None:
    assert _content(_state(), kind) == _content(_state(), kind)
    assert _content(_state(), kind) != _content(_state(seed=8), kind)


def test_more_leads_do_not_change_the_contacts() -> None:
    assert _content(_state(leads=5), "contact") == _content(_state(leads=500), "contact")


OTHERS: Any = {"quotes": 200, "companies": 25, "invoices": 100, "items": 100}


def test_other_kinds_change_neither_leads_nor_deals_nor_the_companies_on_the_cards_of_most_contacts() -> None:
    plain, state = _state(), seeded(**SMALL, **OTHERS)
    for kind in ("lead", "deal"):
        assert _content(state, kind) == _content(plain, kind)
    before, after = (one.tables["contact"].rows for one in (plain, state))
    changed = [number for number, row in before.items() if row != after[number]]
    assert 0 < len(changed) < len(before) / 10
    for number in changed:
        assert {**before[number], "COMPANY_ID": 0} == {**after[number], "COMPANY_ID": 0}
    kinds = ("quote", "company", "smart_invoice", "dynamic_1036")
    for kind, count in zip(kinds, OTHERS.values(), strict=True):
        assert len(state.tables[kind].ids) == count
        assert _content(state, kind) == _content(seeded(**SMALL, **OTHERS), kind)


def test_ids_are_dense_and_dates_rise_with_them() -> None:
    state = _state()
    for kind, table in state.tables.items():
        assert bool(table.ids) == (kind in {"lead", "deal", "contact"})
        if not table.ids:
            continue
        assert list(table.rows) == table.ids == list(range(1, len(table.ids) + 1)), kind
        created = [row["DATE_CREATE"] for row in table.rows.values()]
        assert created == sorted(created)
        assert created[0] >= NOW - SPAN
        assert max(row["DATE_MODIFY"] for row in table.rows.values()) <= NOW


def test_records_can_look_imported_and_are_the_same_otherwise() -> None:
    """From the records with the same ids in another portal."""
    plain, state = _state(), seeded(**SMALL, originator="old-portal")
    for kind in ("lead", "deal", "contact"):
        for row, links in _content(state, kind):
            origin = {"ORIGINATOR_ID": "old-portal", "ORIGIN_ID": str(row["ID"])}
            assert row == {**plain.tables[kind].rows[row["ID"]], **origin}
            assert links == plain.links(kind, row["ID"])


def test_a_new_contact_never_brings_a_dangling_link_to_life() -> None:
    state = _state()
    assert state.add("contact", {}) not in truth_of(state)["contacts"]["gone"]


def test_the_standard_portal_has_plenty_of_every_case() -> None:
    truth = truth_of(_state(leads=2000, deals=2000, contacts=3000))
    counts = {f"{kind} {case}": len(ids) for kind in ("leads", "deals") for case, ids in truth[kind].items()}
    assert 500 <= counts["leads repeat_free"] <= 700
    assert min(counts.values()) >= 20
    repeats = [case for case in truth["leads"] if case.startswith("repeat")]
    assert sum(len(truth["leads"][case]) for case in repeats) > 2000 / 3


@pytest.mark.parametrize("count", [0, 1, 2, 9, 25])
@pytest.mark.parametrize("contacts", [0, 1, 2, 30])
def test_small_portals_can_be_made(count: int, contacts: int) -> None:
    state = _state(leads=count, deals=count, contacts=contacts)
    assert [len(state.tables[kind].ids) for kind in ("lead", "deal", "contact")] == [count, count, contacts]
    cases = truth_of(state)["leads"]
    if count == 25 and contacts == 30:
        assert all(cases.values())


@pytest.fixture(scope="module")
def served() -> Iterator[Sandbox]:
    with Sandbox(leads=400, deals=400, contacts=300, **OTHERS, plan="self_hosted") as sandbox:
        yield sandbox


def _control(sandbox: Sandbox, name: str) -> Any:
    return requests.get(f"{sandbox.base_url}/__sandbox/{name}", timeout=10).json()


def _all(sandbox: Sandbox, method: str, select: list[str]) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    while True:
        last = rows[-1]["ID"] if rows else 0
        params = {"order": {"ID": "ASC"}, "filter": {">ID": last}, "select": select, "start": -1}
        page = requests.post(sandbox.webhook_url + method, json=params, timeout=10).json()["result"]
        rows += page
        if len(page) < 50:
            return rows


def _link_cases(
    owners: dict[str, Any],
    known: set[int],
    person: dict[int, frozenset[int]],
    scalar: str = "contact_id",
) -> dict[str, list[int]]:
    cases: dict[str, list[int]] = {"dangling": [], "no_primary": [], "scalar_at_odds": [], "same_person": []}
    for owner_id, owner in owners.items():
        ids = {contact for contact, *_ in owner["links"]}
        primary = [contact for contact, _, mark, _ in owner["links"] if mark == "Y"]
        found = {
            "dangling": not ids <= known,
            "no_primary": bool(ids) and not primary,
            "scalar_at_odds": (bool(primary) or not ids) and owner[scalar] != min(primary, default=None),
            "same_person": any((person.get(one, frozenset()) - {one}) & ids for one in ids),
        }
        for case, true in found.items():
            cases[case] += [int(owner_id)] * true
    return cases


def test_the_truth_is_what_can_be_seen_from_outside(served: Sandbox) -> None:
    truth = _control(served, "truth")
    leads, deals = (_control(served, f"links?kind={kind}") for kind in ("lead", "deal"))
    contacts = _all(served, "crm.contact.list", ["ID", "PHONE"])
    known = {int(row["ID"]) for row in contacts}
    phones = defaultdict(set)
    for row in contacts:
        phones["".join(filter(str.isdigit, row["PHONE"][0]["VALUE"]))].add(int(row["ID"]))
    person = {one: frozenset(same) for same in phones.values() if len(same) > 1 for one in same}

    others = {
        RECORDS[kind].several.lower(): _control(served, f"links?kind={kind}")
        for kind in ("quote", "smart_invoice", "dynamic_1036", "company")
    }
    for name, owners in {"leads": leads, "deals": deals, **others}.items():
        found = _link_cases(owners, known, person)
        if name == "companies":
            # The flags are those of the contacts, and a company has no scalar.
            found |= {"no_primary": [], "scalar_at_odds": []}
        assert {case: truth[name][case] for case in found} == found
        assert found["dangling"]
        assert found["same_person"]
    firms = {int(row["ID"]) for row in _all(served, "crm.company.list", ["ID"])}
    found = _link_cases(_control(served, "links?kind=contact"), firms, {}, "company_id")
    found.pop("same_person")
    assert {case: truth["contacts"][case] for case in found} == found
    assert all(found.values())

    of_lead = {row["ID"]: row["LEAD_ID"] for row in _all(served, "crm.deal.list", ["ID", "LEAD_ID"])}
    missing = [
        int(deal_id)
        for deal_id, deal in deals.items()
        if of_lead[deal_id]
        and {one for one, *_ in leads[of_lead[deal_id]]["links"]} - {one for one, *_ in deal["links"]}
    ]
    assert truth["deals"]["missing_lead_contacts"] == missing
    assert truth["contacts"]["same_person"] == sorted(sorted(same) for same in set(person.values()))


def test_contacts_that_a_company_brought_are_on_owners_of_that_company(served: Sandbox) -> None:
    company_of = {
        int(row["ID"]): int(row["COMPANY_ID"] or 0)
        for row in _all(served, "crm.contact.list", ["ID", "COMPANY_ID"])
    }
    for kind in ("lead", "deal"):
        found = [
            int(owner_id)
            for owner_id, owner in served.links(kind).items()
            if owner["company_id"]
            and sum(
                company_of.get(one) == owner["company_id"] and one != owner["contact_id"]
                for one, *_ in owner["links"]
            )
            > 1
        ]
        assert served.truth()[f"{kind}s"]["company_contacts"] == found


@pytest.mark.parametrize("kind", ["lead", "deal", "quote"])
def test_the_expected_ends_are_sound(served: Sandbox, kind: Kind) -> None:
    now, expected = served.links(kind), served.truth()["expected"]
    ends = [expected[name] for name in ("remove_dangling", "fix_primary", "together")] + [
        *expected["merge_same_person"].values(),
        *expected["trim_company_contacts"].values(),
    ]
    for owners in ends:
        assert owners[kind]
        for owner_id, end in owners[kind].items():
            before = now[owner_id]
            primary = [one for one, _, flag in end["links"] if flag == "Y"]
            assert primary == ([end["contact_id"]] if end["links"] else [])
            assert {one for one, *_ in end["links"]} <= {one for one, *_ in before["links"]}
            rows = [row[:3] for row in before["links"]]
            flag_only = not rows and before["is_return_customer"] == "Y"
            assert flag_only or (end["links"], end["contact_id"]) != (rows, before["contact_id"])


def test_the_expected_ends_follow_from_flag_company_and_stage(served: Sandbox) -> None:
    truth = served.truth()
    ends: dict[str, list[int]] = {"released": [], "held_by_company": [], "converted": []}
    for lead_id, lead in served.links("lead").items():
        if lead["is_return_customer"] == "Y":
            held = "held_by_company" if lead["company_id"] else "released"
            ends["converted" if lead["stage_semantic"] == "S" else held].append(int(lead_id))
    assert truth["expected"]["release_repeat_leads"] == ends
    assert ends["released"] == sorted(truth["leads"]["repeat_free"] + truth["leads"]["repeat_flag_only"])
    assert ends["held_by_company"] == truth["leads"]["repeat_company"]
    assert set(truth["leads"]["dangling"]) & set(ends["released"])


def test_the_truth_stays_what_was_seeded() -> None:
    with Sandbox(leads=30, contacts=40, plan="self_hosted") as sandbox:
        before = _control(sandbox, "truth")
        lead = before["expected"]["release_repeat_leads"]["released"][0]
        params = {"id": lead, "fields": {"CONTACT_IDS": []}}
        requests.post(sandbox.webhook_url + "crm.lead.update", json=params, timeout=10)
        assert sandbox.links("lead")[str(lead)]["is_return_customer"] == "N"
        assert _control(sandbox, "truth") == before == sandbox.truth()
