"""Words that reasons of several rules have, and how rules read dates."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from airflow_bitrix.core.languages import gettext

_MOST_NAMED = 10


def moment_of(text: object) -> datetime | None:
    """Read a date of the portal, ``None`` where there is none."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def named(contact_ids: Collection[int]) -> str:
    """Give ``contact 7`` or ``contacts 7, 8``; not more than a person reads."""
    shown = ", ".join(str(one) for one in list(contact_ids)[:_MOST_NAMED])
    more = len(contact_ids) - _MOST_NAMED
    if more > 0:
        return gettext("contacts {contacts} and {more} more", contacts=shown, more=more)
    if len(contact_ids) == 1:
        return gettext("contact {contact}", contact=shown)
    return gettext("contacts {contacts}", contacts=shown)
