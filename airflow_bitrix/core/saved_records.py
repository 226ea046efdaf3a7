"""Which records were saved since somebody last looked. Pure values; moments are those of the portal."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.numbers import whole_number

OVERLAP = timedelta(minutes=2)
"""How far each look reaches back behind the one before: a record may show some time after it was saved."""

MOST_KEPT = 1000
"""Records that are remembered over a restart; with more of them in the overlap, they are told twice."""


@dataclass(frozen=True, slots=True)
class Place:
    """Up to where somebody knows what was saved.

    :param begin: From when the next look asks.
    :param known: When records that it will find again were saved, by id.
    """

    begin: datetime
    known: Mapping[int, datetime] = field(default_factory=dict)

    def after(self, found: Mapping[int, datetime], asked_at: datetime) -> tuple[dict[int, datetime], Place]:
        """Give what is new of a look, and the place behind it.

        :param found: When each record was saved that the look found, by id.
        :param asked_at: When the look began, by the portal's clock.
        """
        new = {one: moment for one, moment in found.items() if self.known.get(one) != moment}
        # Whole seconds, as the portal reads them: what it finds again has to be known.
        begin = max(self.begin, asked_at - OVERLAP).replace(microsecond=0)
        return new, Place(begin, {one: moment for one, moment in found.items() if moment >= begin})

    def as_json(self) -> dict[str, Any]:
        """Give what is remembered."""
        known = self.known if len(self.known) <= MOST_KEPT else {}
        return {
            "begin": self.begin.isoformat(),
            "known": {str(one): moment.isoformat() for one, moment in known.items()},
        }

    @classmethod
    def from_json(cls, told: Any) -> Place:
        """Read what :meth:`as_json` gave; whoever can write there may have written something else.

        :raises ValueError: It is no place.
        """
        try:
            known = {whole_number(one) or 0: moment_of(moment) for one, moment in told["known"].items()}
            return cls(moment_of(told["begin"]), known)
        except (TypeError, KeyError, AttributeError, ValueError):
            raise ValueError("it is no place of a watcher") from None


def moment_of(text: Any) -> datetime:
    """Read a moment with its offset from UTC.

    :raises ValueError: It is none.
    """
    moment = text if isinstance(text, datetime) else datetime.fromisoformat(str(text))
    if moment.tzinfo is None:
        raise ValueError(text)
    return moment


def checked_moment(argument: str, value: object) -> datetime:
    """Read a moment that somebody gave.

    :raises InvalidInput: It is none, or lacks its offset from UTC.
    """
    try:
        return moment_of(value)
    except ValueError:
        accepted = gettext("a moment with its offset from UTC, such as '2026-11-01T08:00:00+01:00'")
        raise InvalidInput(argument, value, accepted) from None
