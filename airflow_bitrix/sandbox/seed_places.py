"""Made-up quotes, companies and items. Leads, deals and contacts stay what they are without them.

Companies alone change something of the contacts: which companies these belong to beside their own.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from airflow_bitrix.sandbox import links as link_rules
from airflow_bitrix.sandbox.links import STEP, Link
from airflow_bitrix.sandbox.names import LAST, SUBJECTS
from airflow_bitrix.sandbox.schema import BY_NAME, RECORDS, semantic_of

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.schema import Kind
    from airflow_bitrix.sandbox.seed import Seeder
    from airflow_bitrix.sandbox.state import Row, State

CASES: Final[Mapping[str, float]] = {
    "dangling": 0.04,
    "no_primary": 0.03,
    "scalar_at_odds": 0.03,
    "same_person": 0.05,
    "unlinked": 0.15,
}
"""Of quotes, and of what is saved. Of companies that contacts have, without the last two."""

_OF_A_COMPANY = 0.2
_IN_SEVERAL = 0.2
_GONE_COMPANIES = 3
_FIRMS: Final = ("& Sons", "Group", "Logistics", "Partners", "Systems", "Trading")


def _add_owners(kind: Kind) -> Callable[[Seeder, int], None]:
    """Records of a kind that hang on contacts, some of them of a company."""

    def add(seeder: Seeder, count: int) -> None:
        rng, table, record = seeder.rng[kind], seeder.state.tables[kind], RECORDS[kind]
        for index, case in enumerate(seeder.cases(kind, CASES, count)):
            row = seeder.new_row(kind, (index + rng.random()) / count)
            row[record.stage] = rng.choice(tuple(record.stages))
            row["OPPORTUNITY"] = float(rng.randrange(1, 400) * 50)
            row["TITLE"] = f"{rng.choice(LAST)}: {rng.choice(SUBJECTS)}"
            if rng.random() < _OF_A_COMPANY:
                row["COMPANY_ID"] = rng.choice(seeder.companies)
            ids = [] if case == "unlinked" else seeder.some_contacts(rng)
            row["CLOSED"] = "N" if semantic_of(row[record.stage]) == "P" else "Y"
            known = {name: value for name, value in row.items() if name in BY_NAME[kind]}
            table.insert(known)
            seeder.place(kind, known, case, ids)
            if record.family.is_saved:
                _look_saved(seeder.state, kind, known, case)
            elif known.get("COMPANY_ID"):
                seeder.bring(kind, known, rng)

    return add


def _look_saved(state: State, kind: Kind, row: Row, case: str) -> None:
    """Leave links as saves do: sorts by tens, the first is primary, until a contact is deleted.

    Then its row goes, nobody else becomes primary, and the item still shows it: no primary, and a scalar that
    is at odds.
    """
    links = state.links(kind, row["ID"])
    saved = tuple(
        Link(STEP * place, link.contact_id, primary=place == 1) for place, link in enumerate(links, 1)
    )
    row["CONTACT_ID"] = link_rules.scalar(saved)
    if case in {"no_primary", "scalar_at_odds"}:
        saved = saved[1:]
    state.place_links(kind, row["ID"], saved)


def _add_companies(seeder: Seeder, count: int) -> None:
    """Companies, to which contacts belong, some to several and some to one that is gone."""
    rng, table = seeder.rng["company"], seeder.state.tables["company"]
    for number in range(1, count + 1):
        row = seeder.new_row("company", number / (count + 1))
        del row["SOURCE_ID"]
        row["TITLE"] = f"{rng.choice(LAST)} {rng.choice(_FIRMS)}"
        row["PHONE"] = ((f"+49 40 {number:06d}", "WORK"),)
        table.insert(row)
    if count:
        table.next_id = max(count, seeder.companies[-1]) + _GONE_COMPANIES + 1
        _spread_contacts(seeder, count)
        _plant_members(seeder, count)


def _spread_contacts(seeder: Seeder, count: int) -> None:
    """Further companies for contacts that have one, and the planted cases among these links."""
    rng, state = random.Random(f"{seeder.seed} company links"), seeder.state
    gone = range(max(count, seeder.companies[-1]) + 1, state.tables["company"].next_id)
    shares = {case: CASES[case] for case in ("dangling", "no_primary", "scalar_at_odds")}
    held = [row for row in state.tables["contact"].rows.values() if row.get("COMPANY_ID")]
    cases = seeder.cases("contact", shares, len(held))
    for row, case in zip(held, cases, strict=True):
        links = list(state.links("contact", row["ID"]))
        if case != "plain" or rng.random() < _IN_SEVERAL:
            others = [*gone] if case == "dangling" else [*range(1, count + 1)]
            if other := next((one for one in [rng.choice(others)] if one != row["COMPANY_ID"]), 0):
                links.append(Link(STEP * 2, other))
        if case == "no_primary":
            links = [link._replace(primary=False) for link in links]
            row["COMPANY_ID"] = min(link.contact_id for link in links)
        if case == "scalar_at_odds":
            row["COMPANY_ID"] = links[-1].contact_id if len(links) > 1 else None
        state.place_links("contact", row["ID"], tuple(links))


def _plant_members(seeder: Seeder, count: int) -> None:
    """Companies to which somebody belongs who is gone, or one person twice."""
    state, shares = seeder.state, {case: CASES[case] for case in ("dangling", "same_person")}
    rng = seeder.rng["company"]
    for number, case in enumerate(seeder.cases("company", shares, count), 1):
        twice = rng.choice(seeder.pairs) if seeder.pairs else ()
        joining = {"dangling": (rng.choice(seeder.gone),), "same_person": twice}.get(case, ())
        links = state.links("company", number)
        for one in joining:
            if not any(link.contact_id == one for link in links):
                first = not state.links("contact", one)
                links = (*links, Link(STEP * 2, one, primary=first))
                if first and (row := state.row("contact", one)):
                    row["COMPANY_ID"] = number
        state.place_links("company", number, links)


COUNTS: Final[Mapping[str, Callable[[Seeder, int], None]]] = {
    "quotes": _add_owners("quote"),
    "companies": _add_companies,
    "invoices": _add_owners("smart_invoice"),
    "items": _add_owners("dynamic_1036"),
}
"""What makes up the records of a kind, by the argument that says how many there are."""


def add(seeder: Seeder, counts: Mapping[str, int]) -> None:
    """Make up as many records of each kind as the counts say."""
    for name, make in COUNTS.items():
        make(seeder, counts.get(name, 0))
