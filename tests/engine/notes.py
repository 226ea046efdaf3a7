"""A journal in memory of what applying changes did."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.plan import ChangeOutcome


class Notes:
    """A journal in memory that refuses a second outcome for an owner."""

    def __init__(self) -> None:
        self.begun: list[LinkSet] = []
        self.owed: set[int] = set()
        self.outcomes: dict[int, ChangeOutcome] = {}

    def writing(self, befores: Sequence[LinkSet]) -> None:
        self.begun += befores

    def owing(self, owner_ids: Sequence[int]) -> None:
        self.owed |= set(owner_ids)

    def note(self, outcome: ChangeOutcome) -> None:
        assert outcome.owner.id not in self.outcomes
        self.outcomes[outcome.owner.id] = outcome

    def by_name(self) -> dict[str, list[int]]:
        names: dict[str, list[int]] = {}
        for owner_id, outcome in sorted(self.outcomes.items()):
            names.setdefault(outcome.outcome, []).append(owner_id)
        return names

    def names(self) -> Counter[str]:
        return Counter(outcome.outcome for outcome in self.outcomes.values())
