"""What an apply is given by whoever runs it: where outcomes are kept, who hears of them, and what ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.plan import ChangeOutcome

Leaves = Callable[[], Awaitable[object]]
"""Awaited as a request that writes leaves, behind every wait; an error keeps it here, and ends the run."""


class Journal(Protocol):
    """Where outcomes are kept as they happen."""

    def writing(self, befores: Sequence[LinkSet]) -> Leaves | None:
        """Note what owners hold that are about to be written, before the request leaves.

        :return: What makes sure that the note outlives this process; nothing where it needs no more.
        """

    def owing(self, owner_ids: Sequence[int]) -> None:
        """Note that the portal told that it did not save these owners."""

    def note(self, outcome: ChangeOutcome) -> None:
        """Note the outcome of one change."""


Progress = Callable[[int], None]

Gate = Callable[[], Exception | None]
"""Asked before each write; what it gives ends the run, when requests under way are accounted for."""
