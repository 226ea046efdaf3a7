"""What an apply is given by whoever runs it: where outcomes are kept, who hears of them, and what ends it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
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


class CommentJournal(Protocol):
    """Where it is kept which comments were made."""

    @property
    def announced(self) -> Mapping[int, float]:
        """When a comment on an owner was announced that nothing was heard of, by owner id, unix time."""

    def is_commented(self, owner_id: int) -> bool:
        """Whether the comment on an owner was made, or refused for good."""

    def commenting(self, owner_ids: Sequence[int]) -> Leaves | None:
        """Note on which owners comments are about to be made, before the request leaves.

        :return: As :meth:`Journal.writing` does.
        """

    def commented(self, made: Sequence[int], refused: Sequence[int], why: str) -> None:
        """Note on which owners comments were made, and on which the portal refused them.

        :param why: The first owner that was refused, and the portal's words; empty where none was.
        """


Progress = Callable[[int], None]

Gate = Callable[[], Exception | None]
"""Asked before each write; what it gives ends the run, when requests under way are accounted for."""
