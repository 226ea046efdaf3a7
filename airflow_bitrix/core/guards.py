"""What a plan must satisfy before it may run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from airflow_bitrix.core.errors import InvalidInput


@dataclass(frozen=True, slots=True)
class Guards:
    """Limits that a plan carries with it; apply refuses a plan that breaks one.

    :param max_changes: The most changes allowed; ``None`` for no limit.
    """

    max_changes: int | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that is no whole number.

        :raises InvalidInput: ``max_changes`` is neither ``None`` nor a whole number, 0 or above.
        """
        value = self.max_changes
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise InvalidInput("max_changes", value, "a whole number, 0 or above, or None for no limit")

    def broken_by(self, *, changes: int) -> list[str]:
        """Give a sentence for each guard that a plan of ``changes`` changes breaks."""
        if self.max_changes is not None and changes > self.max_changes:
            return [f"it has {changes} changes, and max_changes allows {self.max_changes}"]
        return []

    def as_json(self) -> dict[str, Any]:
        """Give the guards as the manifest keeps them."""
        return {"max_changes": self.max_changes}
