"""Made-up quotes, companies and items, beside the leads and deals, which they leave as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from airflow_bitrix.sandbox.names import LAST, SUBJECTS
from airflow_bitrix.sandbox.schema import QUOTE_STAGES, semantic_of

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.seed import Seeder

CASES: Final[Mapping[str, float]] = {
    "dangling": 0.04,
    "no_primary": 0.03,
    "scalar_at_odds": 0.03,
    "same_person": 0.05,
    "unlinked": 0.15,
}
_OF_A_COMPANY = 0.2


def _add_quotes(seeder: Seeder, count: int) -> None:
    """Quotes, some of them of a company."""
    rng, table = seeder.rng["quote"], seeder.state.tables["quote"]
    for index, case in enumerate(seeder.cases("quote", CASES, count)):
        row = seeder.new_row("quote", (index + rng.random()) / count)
        del row["SOURCE_ID"]
        row["STATUS_ID"] = rng.choice(tuple(QUOTE_STAGES))
        row["CLOSED"] = "N" if semantic_of(row["STATUS_ID"]) == "P" else "Y"
        row["OPPORTUNITY"] = float(rng.randrange(1, 400) * 50)
        row["TITLE"] = f"{rng.choice(LAST)}: {rng.choice(SUBJECTS)}"
        if rng.random() < _OF_A_COMPANY:
            row["COMPANY_ID"] = rng.choice(seeder.companies)
        ids = [] if case == "unlinked" else seeder.some_contacts(rng)
        number = table.insert(row)
        row["QUOTE_NUMBER"] = str(number)
        seeder.place("quote", row, case, ids)


COUNTS: Final[Mapping[str, Callable[[Seeder, int], None]]] = {"quotes": _add_quotes}
"""What makes up the records of a kind, by the argument that says how many there are."""


def add(seeder: Seeder, counts: Mapping[str, int]) -> None:
    """Make up as many records of each kind as the counts say."""
    for name, make in COUNTS.items():
        make(seeder, counts.get(name, 0))
