"""How many changes may fail, and what happens when more do."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_bitrix.core.languages import gettext, percent

EARLIEST = 20
"""Outcomes before which no share is judged: one failure of two is no half of anything."""


@dataclass(frozen=True, slots=True)
class RowPolicy:
    """What may fail.

    :param max_failed: Changes that may fail; ``None`` for any number.
    :param max_share: The largest share of changes that may fail, from 0 to 1; ``None`` for any.
    """

    max_failed: int | None = 0
    max_share: float | None = None

    def broken_by(self, *, failed: int, of: int) -> str:
        """Say what is wrong with so many failures in the end; nothing where they are allowed."""
        if self.max_failed is not None and failed > self.max_failed:
            return gettext(
                "{failed} of {of} changes failed (max_failed is {max_failed})",
                failed=str(failed),
                of=str(of),
                max_failed=str(self.max_failed),
            )
        if self.max_share is not None and failed > self.max_share * of:
            return gettext(
                "{failed} of {of} changes failed (max_failure_share is {max_share})",
                failed=str(failed),
                of=str(of),
                max_share=percent(self.max_share),
            )
        return ""

    def stops(self, *, failed: int, of: int) -> str:
        """Say why an apply that is under way has to stop; nothing where it may go on.

        :param failed: Changes that were written and failed.
        :param of: Changes that were written so far. What could not even be looked at is no sign of trouble in
            writing.
        """
        if self.max_share is None or of < EARLIEST or failed <= self.max_share * of:
            return ""
        share = gettext("more than {max_share} (max_failure_share)", max_share=percent(self.max_share))
        return gettext("stopped, as {share} of the changes that were written failed", share=share)
