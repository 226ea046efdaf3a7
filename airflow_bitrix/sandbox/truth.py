"""The truth about a portal's data: which owners are which case, computed from the data alone."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any, Final

from airflow_bitrix.sandbox import links as link_rules
from airflow_bitrix.sandbox.ends import Ends
from airflow_bitrix.sandbox.other_methods import normal_comm
from airflow_bitrix.sandbox.schema import COMMUNICATIONS, RECORDS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from airflow_bitrix.sandbox.links import LinkSet
    from airflow_bitrix.sandbox.schema import Kind
    from airflow_bitrix.sandbox.state import Row, State


def _persons(state: State) -> dict[int, int]:
    """For every contact that shares a phone or e-mail, the smallest id that it shares one with."""
    holders: dict[tuple[str, str], list[int]] = defaultdict(list)
    for contact_id, row in state.tables["contact"].rows.items():
        for name in COMMUNICATIONS:
            for value in {normal_comm(name, value) for value, _ in row.get(name) or ()}:
                holders[name, value].append(contact_id)
    persons: dict[int, int] = {}
    for shared in holders.values():
        if len(shared) > 1:
            person = min(persons.get(contact_id, contact_id) for contact_id in shared)
            persons |= dict.fromkeys(shared, person)
    return persons


def _link_cases(state: State, kind: Kind, row: Row, persons: dict[int, int]) -> list[str]:
    cases, record, links = [], RECORDS[kind], state.links(kind, row["ID"])
    linked = state.tables[record.family.linked].rows
    if any(link.contact_id not in linked for link in links):
        cases.append("dangling")
    if record.scalar and links and not any(link.primary for link in links):
        cases.append("no_primary")
    elif record.scalar and row.get(record.scalar) != link_rules.scalar(links):
        cases.append("scalar_at_odds")
    if record.family.linked != "contact":
        return cases
    if row.get("COMPANY_ID") and _brought(state, row, links):
        cases.append("company_contacts")
    known = [persons[link.contact_id] for link in links if link.contact_id in persons]
    if len(known) > len(set(known)):
        cases.append("same_person")
    return cases


def _brought(state: State, row: Row, links: LinkSet) -> bool:
    """Whether the owner's company brought along several contacts beside the primary one."""
    contacts, company = state.tables["contact"].rows, row["COMPANY_ID"]
    brought = [link for link in links if contacts.get(link.contact_id, {}).get("COMPANY_ID") == company]
    return sum(link.contact_id != row.get("CONTACT_ID") for link in brought) > 1


def _lead_cases(_: State, row: Row, links: LinkSet) -> list[str]:
    if row.get("IS_RETURN_CUSTOMER") != "Y":
        return []
    if row.get("STATUS_SEMANTIC_ID") == "S":
        return ["converted", "repeat_converted"] if links else ["converted"]
    if row.get("COMPANY_ID"):
        return ["repeat_company"]
    return ["repeat_free"] if links else ["repeat_flag_only"]


def _deal_cases(state: State, row: Row, links: LinkSet) -> list[str]:
    lead_id = row.get("LEAD_ID") or 0
    of_lead = {link.contact_id for link in state.links("lead", lead_id)}
    return ["missing_lead_contacts"] if of_lead - {link.contact_id for link in links} else []


_CASES: Final[Mapping[Kind, Callable[[State, Row, LinkSet], list[str]]]] = {
    "lead": _lead_cases,
    "deal": _deal_cases,
}


def truth_of(state: State) -> dict[str, Any]:
    """Cases by kind as sorted id lists, and what each clean-up should come to, see :class:`Ends`.

    ``repeat_free``, ``repeat_flag_only``, ``repeat_company`` and ``repeat_converted`` exclude each other;
    the other cases may come on top. ``scalar_at_odds`` means that CONTACT_ID is not what the primary rows
    say; an owner with links and without a primary row is ``no_primary`` instead, whatever its CONTACT_ID.
    """
    persons, contacts = _persons(state), state.tables["contact"].rows
    found: dict[Kind, dict[str, list[int]]] = {kind: defaultdict(list) for kind in RECORDS}
    gone: set[int] = set()
    for kind, cases in found.items():
        for owner_id, row in state.tables[kind].rows.items():
            links = state.links(kind, owner_id)
            if RECORDS[kind].family.linked == "contact":
                gone.update(link.contact_id for link in links if link.contact_id not in contacts)
            of_kind = _CASES[kind](state, row, links) if kind in _CASES else []
            for case in (*_link_cases(state, kind, row, persons), *of_kind):
                cases[case].append(owner_id)
    lead = found["lead"]
    groups: dict[int, list[int]] = defaultdict(list)
    for contact_id, person in sorted(persons.items()):
        groups[person].append(contact_id)
    common = ("dangling", "no_primary", "scalar_at_odds", "same_person", "company_contacts")
    more = {
        "lead": ("repeat_free", "repeat_flag_only", "repeat_company", "repeat_converted"),
        "deal": ("missing_lead_contacts",),
    }
    told: dict[str, Any] = {
        RECORDS[kind].several.lower(): {case: cases[case] for case in (*more.get(kind, ()), *common)}
        for kind, cases in found.items()
    }
    told["contacts"] |= {"same_person": sorted(groups.values()), "gone": sorted(gone)}
    return {
        **told,
        "expected": {
            "release_repeat_leads": {
                "released": sorted(lead["repeat_free"] + lead["repeat_flag_only"]),
                "held_by_company": sorted(lead["repeat_company"]),
                "converted": sorted(lead["converted"]),
            },
            **Ends(state).all(),
        },
    }
