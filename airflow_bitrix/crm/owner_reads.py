"""Looking at owners: what they are now, and why some could not be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from airflow_bitrix.client.batch import CommandOutcome, is_rest
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.wire import Call, FaultKind
from airflow_bitrix.core import methods
from airflow_bitrix.core.errors import AuthFailed, RetryLater
from airflow_bitrix.core.links import Owner, OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.crm.scan import look_calls, read_links, states_of

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
        fault = "no answer"
        for _ in range(TIMES):
            if not left or seen.later:
                break
            for owner_id, outcome in zip(
                tuple(left), await self._ask(seen, list(left.values())), strict=False
            ):
                if outcome.ok:
                    state = seen.states[owner_id]
                    links = methods.links_of(state.owner, outcome.result).with_scalar(state.links.shown_id)
                    seen.states[owner_id] = replace(state, links=links)
                    del left[owner_id]
                elif outcome.fault and outcome.fault.kind is FaultKind.AUTH:
                    raise outcome.error or AuthFailed(str(outcome.fault.answer))
                elif outcome.fault:
                    fault = str(outcome.fault.answer)
        for owner_id in left:
            del seen.states[owner_id]
            seen.unseen[owner_id] = f"its links could not be read: {fault}"
        return seen

    async def _complete(self, seen: Seen, looks: Sequence[CommandOutcome]) -> Seen:
        failed = await self._take(seen, looks)
        for _ in range(TIMES - 1):
            if not failed or seen.later:
                break
            again = await self._ask(seen, [outcome.call for outcome in failed])
            failed = await self._take(seen, again)
        for outcome in failed:
            said = f"it could not be looked at: {outcome.fault.answer if outcome.fault else 'no answer'}"
            seen.unseen |= dict.fromkeys(outcome.call.params["filter"]["@id"], said)
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
        for outcome in looks:
            if outcome.ok:
                states = list(states_of(self._kind, outcome.result))
                if not all(state.links_known for state in states):
                    found = await read_links(self._portal, states, full=False)
                    states = found.states
                    seen.unseen |= {owner.id: str(error) for owner, error in found.refused.items()}
                seen.states |= {state.owner.id: state for state in states}
            elif outcome.fault and outcome.fault.kind is FaultKind.AUTH:
                raise outcome.error or AuthFailed(str(outcome.fault.answer))
        return [outcome for outcome in looks if not outcome.ok]
