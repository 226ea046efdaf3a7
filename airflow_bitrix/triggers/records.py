"""Telling Airflow that records were saved: for the watcher of an asset."""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent
from asgiref.sync import sync_to_async

from airflow_bitrix.compat import asset_state
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import owner_kind
from airflow_bitrix.core.saved_records import OVERLAP, Place, checked_moment
from airflow_bitrix.crm.saved_records import saved_since
from airflow_bitrix.hooks.opening import DEFAULT_CONN_ID, opened_async
from airflow_bitrix.triggers.shared_looks import SHORTEST
from airflow_bitrix.triggers.waiting import trigger_event

__all__ = ["Bitrix24RecordsSavedTrigger"]

MOST_IDS = 500
"""Ids in one event."""

TAKEN = 5.0
"""Seconds after which Airflow has taken an event; only then is it remembered that it was told."""

KEPT = "bitrix24_saved"
"""How a key begins in the state that Airflow 3.3 keeps for an asset, which may have several watchers."""


class Bitrix24RecordsSavedTrigger(BaseEventTrigger):
    """Tell each time that records of a kind were saved, for an ``AssetWatcher``.

    An event is ``{"kind": kind, "ids": [n, …], "first": moment, "last": moment}``, with 500 ids at most and
    the moments of the first and the last save among them. A record that is saved twice between two looks is
    told once. Changes of contact links save nothing, and are not told.

    It never ends: what the portal or the connection refuses, or Airflow cannot tell, is logged, and it looks
    again after a while, also for another connection of the same id.

    With Airflow 3.3 its place is kept in the state of the watched asset, and after a restart it goes on
    there: nothing is missed, and what was told in the last seconds before may be told twice. Older
    versions let a trigger remember nothing: after a restart it begins anew, at ``since`` or with what is
    saved from then on.

    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``.
    :param kind: A kind of owners of contacts, such as ``lead`` or ``dynamic_1036``.
    :param since: From when on, a moment with its offset from UTC; ``None`` for what is saved once it runs.
    :param poke_interval: Seconds between two looks, 1 or more, or a ``timedelta``; each takes a request for
        50 records.
    :raises InvalidInput: An argument that cannot be right.
    """

    def __init__(
        self,
        *,
        bitrix24_conn_id: str = DEFAULT_CONN_ID,
        kind: str = "lead",
        since: datetime | str | None = None,
        poke_interval: timedelta | float = 60,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bitrix24_conn_id = bitrix24_conn_id
        self.kind = owner_kind(kind)
        self.since = None if since is None else checked_moment("since", since)
        self.poke_interval = _seconds(poke_interval)
        self._said = ""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and its arguments; the connection by its id alone."""
        return f"{type(self).__module__}.{type(self).__qualname__}", {
            "bitrix24_conn_id": self.bitrix24_conn_id,
            "kind": self.kind,
            "since": self.since and self.since.isoformat(),
            "poke_interval": self.poke_interval,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Look again and again, and give the events."""
        place = await self._kept() or (Place(self.since) if self.since else None)
        while True:
            try:
                new, place = await self._look(place)
            except Exception as error:  # noqa: BLE001 (Airflow's own troubles pass, too, and it would forget)
                self._say(error)
                await asyncio.sleep(self.poke_interval)
                continue
            self._said = ""
            for event in self._events(new):
                yield event
            await asyncio.sleep(min(TAKEN, self.poke_interval))
            await self._keep(place)
            await asyncio.sleep(max(self.poke_interval - TAKEN, 0))

    async def _look(self, place: Place | None) -> tuple[Mapping[int, datetime], Place]:
        """Look once; the first look without a place finds what is known from then on."""
        hook = await sync_to_async(opened_async)(self.bitrix24_conn_id)
        begin = place.begin if place else datetime.now(UTC) - OVERLAP
        async with hook.portal() as portal:
            found, asked_at = await saved_since(portal, self.kind, begin)
            if not place and asked_at - OVERLAP < begin:
                # The portal's clock counts, and ours is ahead of it: what is saved next would be missed.
                begin = asked_at - OVERLAP
                found, asked_at = await saved_since(portal, self.kind, begin)
        if place:
            return place.after(found, asked_at)
        return {}, Place(begin).after(found, asked_at)[1]

    def _events(self, new: Mapping[int, datetime]) -> list[TriggerEvent]:
        ids = sorted(new)
        some = [ids[at : at + MOST_IDS] for at in range(0, len(ids), MOST_IDS)]
        return [
            trigger_event(
                {
                    "kind": self.kind,
                    "ids": each,
                    "first": min(new[one] for one in each).isoformat(),
                    "last": max(new[one] for one in each).isoformat(),
                }
            )
            for each in some
        ]

    def _say(self, error: Exception) -> None:
        """Say once why nothing is known now, and again where that changes."""
        said = as_plain_text(str(error))
        if said != self._said:
            self.log.warning("%s", gettext("Nothing is known now, and watching goes on: {said}", said=said))
        self._said = said

    # -- what Airflow 3.3 remembers ------------------------------------------------------------------------

    @property
    def _key(self) -> str:
        """Where the place is kept; that of a watcher that asks for something else is none."""
        asked = [self.bitrix24_conn_id, self.kind, self.since and self.since.isoformat()]
        return f"{KEPT}_{hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:12]}"

    async def _kept(self) -> Place | None:
        store = asset_state(self)
        if store is None:
            return None
        try:
            if told := await store.aget(self._key):
                return Place.from_json(told)
        except Exception as error:  # noqa: BLE001 (whatever it is, watching begins all the same)
            self.log.warning(
                "%s",
                gettext(
                    "Where the watching had got to is not known, and it begins anew: {error}", error=error
                ),
            )
        return None

    async def _keep(self, place: Place) -> None:
        store = asset_state(self)
        if store is None:
            return
        try:
            await store.aset(self._key, place.as_json())
        except Exception as error:  # noqa: BLE001 (the events were told; the next look tries again)
            self.log.warning(
                "%s", gettext("Where the watching has got to could not be kept: {error}", error=error)
            )


def _seconds(given: object) -> float:
    with suppress(ValueError, OverflowError):
        if isinstance(given, timedelta):
            given = given.total_seconds()
        if isinstance(given, (int, float, str)) and not isinstance(given, bool):
            seconds = float(given)
            if SHORTEST <= seconds < math.inf:
                return seconds
    raise InvalidInput("poke_interval", given, gettext("a number of seconds, 1 or more, or a timedelta"))
