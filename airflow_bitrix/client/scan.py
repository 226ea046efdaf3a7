"""Link sets of a whole portal by ranges of ids, 50 owners a command and 2,500 a request.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html. Ranges of ids do not
overlap and do not move, so an owner that exists during the whole scan appears exactly once, whatever others
add or delete meanwhile. Offsets would skip and repeat.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import logging
import math
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Literal

from airflow_bitrix.client.batch import MOST_COMMANDS
from airflow_bitrix.client.listing import PAGE, bare_field, both
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.ranges import Range, Ranges
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core import methods
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import ENTITY_TYPE_IDS, OwnerKind
from airflow_bitrix.core.states import SELECT, OwnerState, state_of

log = logging.getLogger(__name__)

Detail = Literal["ids", "full"]

MOST_READY = 500
"""Pages that may wait for a slower one before them, where owners are wanted in order."""


def look_calls(kind: OwnerKind, ids: Sequence[int]) -> list[Call]:
    """Give the calls that read the states of the owners ``ids``, 50 a call."""
    return [_list_call(kind, {"@id": list(ids[at : at + PAGE])}) for at in range(0, len(ids), PAGE)]


def states_of(kind: OwnerKind, result: Any) -> Iterable[OwnerState]:
    """Read the result of one call of this module."""
    return (state_of(kind, row) for row in result["items"])


async def check_filter(portal: AsyncPortal, kind: OwnerKind, wanted: Mapping[str, Any]) -> None:
    """Refuse a filter that names a field the portal does not have.

    :raises InvalidInput: Names the field and those that there are.
    """
    if not isinstance(wanted, Mapping):
        raise InvalidInput(
            "filter", wanted, "a map of crm.item.list field to value, such as {'stageId': 'NEW'}"
        )
    for key, value in wanted.items():
        if not isinstance(key, str):
            raise InvalidInput("filter", wanted, "field names as keys")
        if bare_field(key) == "contactIds" and isinstance(value, (list, tuple)):
            # With several, the portal joins links before it cuts a page, and a short page is not the last.
            raise InvalidInput("filter", {key: value}, "one contact id with contactIds")
    names = list(_filter_fields(wanted))
    if names:
        fields = await portal.call("crm.item.fields", {"entityTypeId": ENTITY_TYPE_IDS[kind]})
        known = set(fields["fields"])
        for name in names:
            if name not in known:
                raise InvalidInput("filter", name, f"fields of a {kind}: " + ", ".join(sorted(known)))


def _filter_fields(wanted: Mapping[str, Any]) -> Iterable[str]:
    for key, value in wanted.items():
        if isinstance(value, Mapping) and str(key).isdigit():
            yield from _filter_fields(value)
        elif str(key).lower() != "logic":
            yield bare_field(str(key))


async def scan(
    portal: AsyncPortal,
    kind: OwnerKind,
    wanted: Mapping[str, Any] | None = None,
    *,
    detail: Detail = "ids",
    ordered: bool = False,
) -> AsyncGenerator[OwnerState, None]:
    """Give the state of every owner that the filter matches, each once.

    The first request reads both ends of the id range and, on the chance that ids are dense from 1 on, the
    first 2,400 ids; the further ones go through what lies between, several in flight.

    :param wanted: A ``crm.item.list`` filter, camelCase names.
    :param detail: ``ids`` for contacts, their order and the primary one; ``full`` for sort and role too,
        which takes one command for each owner with contacts.
    :param ordered: Whether owners come in order of id; else as they arrive.
    :raises Rejected: The portal does not accept the filter.
    """
    # Closed with the scan, so that a scan that is not read to its end leaves no request behind.
    async with (
        aclosing(_pages(portal, kind, dict(wanted or {}), ordered=ordered)) as states,
        aclosing(exact(portal, states, full=detail == "full")) as known,
    ):
        async for state in known:
            yield state


async def exact(
    portal: AsyncPortal, states: AsyncIterator[OwnerState], *, full: bool
) -> AsyncGenerator[OwnerState, None]:
    """Ask ``items.get`` for the links that are wanted exactly, or that the portal left out of its lists.

    The order of the states stays.

    :param full: Whether sort and role of all links are wanted; else only links that are not known are read.
    """
    at_once = MOST_COMMANDS * portal.in_flight * 4
    waiting: list[OwnerState] = []
    asked = 0
    async for state in states:
        if not state.links_known:
            _warn_once()
        needs = not state.links_known or (full and bool(state.links.links))
        if not needs and not waiting:
            yield state
            continue
        waiting.append(state)
        asked += needs
        if asked == at_once or len(waiting) == at_once * 4:
            for known in await ask_links(portal, waiting, full=full):
                yield known
            waiting, asked = [], 0
    for known in await ask_links(portal, waiting, full=full):
        yield known


async def ask_links(portal: AsyncPortal, states: Sequence[OwnerState], *, full: bool) -> list[OwnerState]:
    """Give states with links read by ``items.get``, of those whose links are not known or wanted in full.

    :raises Bitrix24Error: The portal refused to tell the links of one of them.
    """
    owners = [state.owner for state in states if not state.links_known or (full and state.links.links)]
    calls = [Call(methods.name(owner.kind, "items.get"), methods.items_get(owner.id)) for owner in owners]
    got = {
        owner: methods.links_of(owner, outcome.result)
        for owner, outcome in zip(owners, await portal.batch(calls), strict=True)
    }
    return [
        replace(state, links=got[state.owner], links_known=True) if state.owner in got else state
        for state in states
    ]


@functools.cache
def _warn_once() -> None:
    log.warning(
        "The portal leaves contactIds out of crm.item.list: links are read by items.get, one command an owner"
    )


async def _pages(
    portal: AsyncPortal, kind: OwnerKind, base: dict[str, Any], *, ordered: bool
) -> AsyncGenerator[OwnerState, None]:
    pieces = [(PAGE * n + 1, PAGE * (n + 1)) for n in range(1, MOST_COMMANDS - 1)]
    calls = [_list_call(kind, base, order="DESC"), _list_call(kind, base)]
    calls += [_range_call(kind, base, piece) for piece in pieces]
    pages = [list(states_of(kind, outcome.result)) for outcome in await portal.run_batch(calls)]

    tail, head, *middle = pages
    tail.reverse()
    whole = len(tail) < PAGE  # then the last page holds everything there is
    end = 0 if whole else tail[0].owner.id - 1
    done_to = min(head[-1].owner.id, end) if head else 0
    for state in head:
        if state.owner.id <= end:
            yield state
    for page in middle:
        for state in page:
            if done_to < state.owner.id <= end:
                yield state
    if not whole:
        # head and the pieces may overlap: what lies behind both is still to be read
        start = max(done_to, pieces[-1][1]) + 1
        density = max(_density(page) for page in (tail, head) if page)
        sweep = _Sweep(portal, kind, base, Ranges((start, end), density), ordered=ordered)
        async with aclosing(sweep.pages()) as found:
            async for page in found:
                for state in page:
                    yield state
    for state in tail:
        yield state


class _Sweep:
    """Reads what ranges leave to read, several requests in flight.

    :param ordered: Whether pages are given in order of id; else as they arrive.
    """

    def __init__(
        self, portal: AsyncPortal, kind: OwnerKind, base: dict[str, Any], ranges: Ranges, *, ordered: bool
    ) -> None:
        self._portal, self._kind, self._base = portal, kind, base
        self._ranges = ranges
        self._ordered = ordered
        self._ready: list[tuple[int, list[OwnerState]]] = []  # pages by first id
        self._running: set[asyncio.Task[None]] = set()

    async def pages(self) -> AsyncGenerator[list[OwnerState], None]:
        """Give page after page."""
        try:
            while self._ready or self._ranges.lowest < math.inf:
                self._start()
                if self._running:
                    done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
                    self._running -= done
                    for task in done:
                        task.result()
                while self._ready and (not self._ordered or self._ready[0][0] < self._ranges.lowest):
                    yield heapq.heappop(self._ready)[1]
        finally:
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    def _start(self) -> None:
        while len(self._running) < self._portal.in_flight and len(self._ready) < MOST_READY:
            pieces = self._ranges.take(self._portal.size)
            if not pieces:
                return
            self._running.add(asyncio.ensure_future(self._read(pieces)))

    async def _read(self, pieces: Sequence[Range]) -> None:
        outcomes = await self._portal.run_batch([_range_call(self._kind, self._base, one) for one in pieces])
        pages = [list(states_of(self._kind, outcome.result)) for outcome in outcomes]
        ids = [[state.owner.id for state in page] for page in pages]
        self._ranges.settle(list(zip(pieces, ids, strict=True)))
        for piece, page in zip(pieces, pages, strict=True):
            heapq.heappush(self._ready, (piece[0], page))


def _density(page: Sequence[OwnerState]) -> float:
    return len(page) / (abs(page[-1].owner.id - page[0].owner.id) + 1)


def _range_call(kind: OwnerKind, base: Mapping[str, Any], piece: Range) -> Call:
    bounds = {">=id": piece[0], "<=id": piece[1]}
    return _list_call(kind, both(base, bounds))


def _list_call(kind: OwnerKind, wanted: Mapping[str, Any], order: str = "ASC") -> Call:
    params: dict[str, Any] = {"entityTypeId": ENTITY_TYPE_IDS[kind], "select": list(SELECT)}
    if wanted:
        params["filter"] = wanted
    return Call("crm.item.list", {**params, "order": {"id": order}, "start": -1})
