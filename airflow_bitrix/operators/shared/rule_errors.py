"""How often a rule may raise an error before a plan ends."""

from __future__ import annotations

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.engine.judging import Judged

SOON = 1000
"""Owners after which a rule that fails too often ends a plan before all are read."""


class ErrorsAllowed:
    """Counts the owners of which a rule raised an error, and ends the plan where they are too many.

    :param share: The largest share of those read, from 0 to 1; ``None`` for no limit.
    """

    def __init__(self, share: float | None) -> None:
        self.share = share
        self._read = self._raised = 0
        self._first = ""

    def __repr__(self) -> str:
        return f"ErrorsAllowed({self.share!r})"

    def look(self, judged: Judged) -> None:
        """Count one owner.

        :raises PlanRefused: Too many of those read so far.
        """
        self._read += 1
        for left_out in judged.left_out:
            if left_out.raised:
                self._raised += 1
                self._first = self._first or f"{judged.state.owner}: {left_out.reason}"
        if self._read >= SOON:
            self.settle()

    def settle(self) -> None:
        """Look whether they are too many.

        :raises PlanRefused: They are; it tells of the first.
        """
        if self.share is not None and self._raised > self.share * self._read:
            raise PlanRefused(
                gettext(
                    "rules raised errors of {raised} of {read} owners, and max_error_share allows {share}; "
                    "the first: {first}",
                    raised=self._raised,
                    read=self._read,
                    share=f"{self.share:.1%}",
                    first=self._first,
                )
            )
