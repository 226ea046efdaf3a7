"""Looking at owners: what they are now, and why some could not be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from airflow_bitrix.client.batch import CommandOutcome, is_rest
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import page_of, rows_told
from airflow_bitrix.client.wire import Call, FaultKind
from airflow_bitrix.core import methods
from airflow_bitrix.core.errors import AuthFailed, Bitrix24Error, RetryLater
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind
from airflow_bitrix.core.owner_states import OwnerState, state_of
from airflow_bitrix.crm.scan import look_calls, read_links, state_reader

TIMES = 4
"""How often a look is made before its owners count as failed."""


@dataclass(slots=True)
class Seen:
    """What looks told.

    :param states: States of owners, by id.
    :param unseen: Why owners could not be looked at, by id.
    :param later: Set where looking itself has to rest for long: who was not seen is to be left alone then.
    """

    states: dict[int, OwnerState] = field(default_factory=dict)
    unseen: dict[int, str] = field(default_factory=dict)
    later: RetryLater | None = None

    def missing(self, owner: Owner) -> str:
        """Why there is no state of an owner."""
        return self.unseen.get(owner.id, f"{owner} is not there, or the webhook's user may not read it")


class OwnerReads:
    """Looks at owners of one kind.

    :param portal: The portal.
    :param kind: Whether the owners are leads or deals.
    """

    def __init__(self, portal: AsyncPortal, kind: OwnerKind) -> None:
        self._portal = portal
        self._kind = kind

    def calls(self, owner_ids: Sequence[int]) -> list[Call]:
        """Give the calls that look at some owners, to be sent along with others."""
        return look_calls(self._kind, owner_ids)

    async def look(self, owner_ids: Sequence[int]) -> Seen:
        """Look at some owners, at most 2,500."""
        seen = Seen()
        return await self._complete(seen, await self._ask(seen, self.calls(owner_ids)))

    async def read(self, looks: Sequence[CommandOutcome]) -> Seen:
        """Read what was sent along, and look again where that failed: it costs nothing but a request."""
        return await self._complete(Seen(), looks)

    async def read_exactly(self, seen: Seen, owner_ids: Sequence[int]) -> Seen:
        """Ask ``items.get`` for the links of some owners that were seen, 50 at most, and note them there.

        Where that fails the owner counts as not seen: what is not known exactly is not acted upon.
        """
        calls = [Call(methods.name(self._kind, "items.get"), methods.items_get(one)) for one in owner_ids]
        left = dict(zip(owner_ids, calls, strict=True))
        said: dict[int, str] = {}
        for _ in range(TIMES):
            if not left or seen.later:
                break
            outcomes = await self._ask(seen, list(left.values()))
            for owner_id, outcome in zip(tuple(left), outcomes, strict=False):
                _refuse_auth(outcome)
                links = _links_in(seen.states[owner_id], outcome)
                if isinstance(links, str):
                    said[owner_id] = links
                else:
                    seen.states[owner_id] = replace(seen.states[owner_id], links=links)
                    del left[owner_id]
        for owner_id in left:
            del seen.states[owner_id]
            seen.unseen[owner_id] = f"its links could not be read: {said.get(owner_id, _NO_ANSWER)}"
        return seen

    async def _complete(self, seen: Seen, looks: Sequence[CommandOutcome]) -> Seen:
        failed = await self._take(seen, looks)
        for _ in range(TIMES - 1):
            if not failed or seen.later:
                break
            again = await self._ask(seen, [outcome.call for outcome in failed])
            failed = await self._take(seen, again)
        for outcome in failed:
            await self._take_apart(seen, outcome)
        return seen

    async def _ask(self, seen: Seen, calls: Sequence[Call]) -> Sequence[CommandOutcome]:
        try:
            return await self._portal.run_batch(calls)
        except RetryLater as error:
            if not is_rest(error):
                raise
            seen.later = error
            return []

    async def _take(self, seen: Seen, looks: Sequence[CommandOutcome]) -> list[CommandOutcome]:
        """Take the states that looks told, and give the looks that failed."""
        failed: list[CommandOutcome] = []
        for outcome in looks:
            _refuse_auth(outcome)
            try:
                states = page_of(outcome.call, outcome.answered, state_reader(self._kind))
            except Bitrix24Error:
                failed.append(outcome)
            else:
                await self._note(seen, states)
        return failed

    async def _take_apart(self, seen: Seen, look: CommandOutcome) -> None:
        """Take from a look that failed each time the owners that it tells; the others count as not seen."""
        states, unseen = _told_by(self._kind, look)
        seen.unseen |= {owner_id: f"it could not be looked at: {why}" for owner_id, why in unseen.items()}
        await self._note(seen, states)

    async def _note(self, seen: Seen, states: list[OwnerState]) -> None:
        if not all(state.links_known for state in states):
            found = await read_links(self._portal, states, full=False)
            states = found.states
            seen.unseen |= {owner.id: str(error) for owner, error in found.refused.items()}
        seen.states |= {state.owner.id: state for state in states}


_NO_ANSWER = "no answer"


def _refuse_auth(outcome: CommandOutcome) -> None:
    """Raise what ends everything: the portal does not accept the webhook."""
    if outcome.fault and outcome.fault.kind is FaultKind.AUTH:
        raise outcome.error or AuthFailed(str(outcome.fault.answer))


def _links_in(state: OwnerState, outcome: CommandOutcome) -> LinkSet | str:
    """Give the links that ``items.get`` told of an owner, or why they cannot be known."""
    if not outcome.ok:
        return str(outcome.fault.answer) if outcome.fault else _NO_ANSWER
    try:
        return methods.links_of(state.owner, outcome.result).with_scalar(state.links.shown_id)
    except Bitrix24Error as error:
        return str(error)


def _told_by(kind: OwnerKind, look: CommandOutcome) -> tuple[list[OwnerState], dict[int, str]]:
    """Give the states that a look tells which cannot be right as a whole, and why others are not known."""
    asked: list[int] = look.call.params["filter"]["@id"]
    if look.answer is None:
        return [], dict.fromkeys(asked, str(look.fault.answer) if look.fault else _NO_ANSWER)
    why = ""
    try:
        page_of(look.call, look.answer, dict)
    except Bitrix24Error as error:
        why = str(error)
    states: dict[int, OwnerState] = {}
    unread: dict[int, str] = {}
    for number, row in rows_told(look.call, look.answer):
        try:
            state = state_of(kind, row)
        except Bitrix24Error as error:
            unread[number] = str(error)
        else:
            if states.setdefault(number, state) != state:
                unread[number] = why
    there = [state for number, state in states.items() if number in asked and number not in unread]
    unseen = {one: unread.get(one, why) for one in asked if one not in states or one in unread}
    return there, {one: said for one, said in unseen.items() if said}
