"""How many rows somebody waits for."""

from __future__ import annotations

from dataclasses import dataclass

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.languages import number as shown


@dataclass(frozen=True, slots=True)
class CountCondition:
    """How many there are to be.

    :param at_least: The smallest number; ``None`` leaves it open.
    :param at_most: The largest number; ``None`` leaves it open. Where both are open, one is enough.
    :raises InvalidInput: No number can be both.
    """

    at_least: int | None = None
    at_most: int | None = None

    def __post_init__(self) -> None:
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise InvalidInput(
                "at_most",
                self.at_most,
                gettext("at_least, which is {at_least}, or more", at_least=self.at_least),
            )

    def holds(self, count: int) -> bool:
        """Whether a number is such a one."""
        return self._least <= count and (self.at_most is None or count <= self.at_most)

    @property
    def _least(self) -> int:
        return int(self.at_most is None) if self.at_least is None else self.at_least

    def __str__(self) -> str:
        """Say it for a log: ``at least 5, at most 9``."""
        told = {gettext("at least"): self._least or None, gettext("at most"): self.at_most}
        return ", ".join(
            f"{how} {shown(number)}" for how, number in told.items() if number is not None
        ) or gettext("any")
