"""Looking at owners: what they are now, and why some could not be looked at."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from airflow_bitrix.client.batch import MOST_COMMANDS, CommandOutcome, is_rest
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import page_of, rows_told
from airflow_bitrix.client.wire import Call, FaultKind
from airflow_bitrix.core.errors import AuthFailed, Bitrix24Error, RetryLater
from airflow_bitrix.core.exact_links import ITEM_GET, exact_command, exact_links
from airflow_bitrix.core.kind_words import linked_words, named
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind
from airflow_bitrix.core.owner_states import OwnerState, state_of
from airflow_bitrix.core.plan import shown_contacts
from airflow_bitrix.crm.scan import look_calls, read_links, state_reader

TIMES = 4
"""How often a look is made before its owners count as failed."""


@dataclass(slots=True)
class Seen:
    """What looks told.

    :param states: States of owners, by id.
    :param exact: Links as ``items.get`` told them, by id of the owner.
    :param unseen: Why owners could not be looked at, by id.
    :param later: Set where looking itself has to rest for long: who was not seen is to be left alone then.
    """

    states: dict[int, OwnerState] = field(default_factory=dict)
    exact: dict[int, LinkSet] = field(default_factory=dict)
    unseen: dict[int, str] = field(default_factory=dict)
    later: RetryLater | None = None

    def missing(self, owner: Owner) -> str:
        """Why there is no state of an owner."""
        return self.unseen.get(
            owner.id,
            gettext("{owner} is not there, or the webhook's user may not read it", owner=named(owner)),
        )


class OwnerReads:
    """Looks at owners of one kind.

    :param portal: The portal.
    :param kind: The kind of the owners.
    """

    def __init__(self, portal: AsyncPortal, kind: OwnerKind) -> None:
        self._portal = portal
        self._kind = kind

    def calls(self, owner_ids: Sequence[int]) -> list[Call]:
        """Give the calls that look at some owners, to be sent along with others."""
        return look_calls(self._kind, owner_ids)

    def exact_calls(self, owner_ids: Sequence[int]) -> list[Call]:
        """Give the calls that read the exact links of some owners, to be sent along with others."""
        return [Call(*exact_command(Owner(self._kind, one))) for one in owner_ids]

    def told(self, look: CommandOutcome) -> dict[int, OwnerState]:
        """Give what one look showed, by id; nothing where it failed, or shows no links."""
        try:
            states = page_of(look.call, look.answered, state_reader(self._kind))
        except Bitrix24Error:
            return {}
        return {state.owner.id: state for state in states if state.links_known}

    async def look(self, owner_ids: Sequence[int], *, exactly: Sequence[int] = ()) -> Seen:
        """Look at some owners, at most 2,500.

        :param exactly: Those of them whose exact links are read, too, as far as there is room in the request.
        """
        looks = self.calls(owner_ids)
        exact = self.exact_calls(exactly[: MOST_COMMANDS - len(looks)])
        seen = Seen()
        return await self._complete(seen, await self._ask(seen, [*looks, *exact]))

    async def read(self, looks: Sequence[CommandOutcome]) -> Seen:
        """Read what was sent along, and look again where that failed: it costs nothing but a request."""
        return await self._complete(Seen(), looks)

    async def read_exactly(self, seen: Seen, owner_ids: Sequence[int]) -> Seen:
        """Read the exact links of some owners that were seen, and note them there.

        Where ``items.get`` fails, or tells other links than a look, both are asked again. What is not known
        exactly is not acted upon: such an owner counts as not seen.
        """
        left = [one for one in owner_ids if one in seen.states]
        faults: dict[int, str] = {}
        rests: dict[int, RetryLater] = {}
        for repeat in range(TIMES):
            if not left or seen.later:
                break
            for at in range(0, len(left), MOST_COMMANDS - 1):
                some = left[at : at + MOST_COMMANDS - 1]
                calls = [*(self.calls(some) if repeat else ()), *self.exact_calls(some)]
                outcomes = await self._ask(seen, calls)
                await self._take(seen, outcomes)
                faults |= {_owner_of(one): str(one.fault.answer) for one in outcomes if one.fault}
                for one in outcomes:
                    error = one.error
                    if one.fault and one.fault.kind is FaultKind.RESTING and isinstance(error, RetryLater):
                        rests[_owner_of(one)] = error
            left = [one for one in left if not self._note_exact(seen, one)]
        # Whom the portal puts off is read later: the owner is not at fault.
        seen.later = seen.later or next((rests[one] for one in left if one in rests), None)
        for owner_id in left:
            state, exact = seen.states.pop(owner_id), seen.exact.get(owner_id)
            said = faults.get(owner_id, gettext("items.get answered no list of links"))
            if exact:
                shown = gettext(
                    "{exact} by items.get, {listed} by crm.item.list",
                    exact=shown_contacts(exact),
                    listed=shown_contacts(state.links),
                )
                said = gettext(
                    "the portal shows {kinds} {shown}", shown=shown, **linked_words(state.owner.kind)
                )
            seen.unseen[owner_id] = gettext("its links could not be read: {said}", said=said)
        return seen

    def _note_exact(self, seen: Seen, owner_id: int) -> bool:
        """Put exact links in the place of those that a look showed, if they are the same."""
        state, exact = seen.states[owner_id], seen.exact.get(owner_id)
        if exact is None or not (exact := exact.with_scalar(state.links.shown_id)).agrees_with(state.links):
            return False
        seen.states[owner_id] = replace(state, links=exact)
        return True

    async def _complete(self, seen: Seen, outcomes: Sequence[CommandOutcome]) -> Seen:
        failed = await self._take(seen, outcomes)
        for _ in range(TIMES - 1):
            # Exact links alone are not asked for again: who needs them does so.
            if seen.later or all(map(_is_exact_read, failed)):
                break
            again = await self._ask(seen, [outcome.call for outcome in failed])
            failed = await self._take(seen, again)
        for outcome in failed:
            if not _is_exact_read(outcome):
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

    async def _take(self, seen: Seen, outcomes: Sequence[CommandOutcome]) -> list[CommandOutcome]:
        """Take what looks and exact reads told, and give those that failed."""
        failed: list[CommandOutcome] = []
        for outcome in outcomes:
            if outcome.fault and outcome.fault.kind is FaultKind.AUTH:
                raise outcome.error or AuthFailed(str(outcome.fault.answer))
            if _is_exact_read(outcome):
                owner = Owner(self._kind, _owner_of(outcome))
                if links := links_told(owner, outcome):
                    seen.exact[owner.id] = links
                elif not outcome.ok:
                    failed.append(outcome)
                continue
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
        seen.unseen |= {
            owner_id: gettext("it could not be looked at: {why}", why=why) for owner_id, why in unseen.items()
        }
        await self._note(seen, states)

    async def _note(self, seen: Seen, states: list[OwnerState]) -> None:
        if not all(state.links_known for state in states):
            found = await read_links(self._portal, states, full=False)
            states = found.states
            seen.unseen |= {owner.id: str(error) for owner, error in found.refused.items()}
        seen.states |= {state.owner.id: state for state in states}


def links_told(owner: Owner, outcome: CommandOutcome) -> LinkSet | None:
    """Read the answer to an exact read; ``None`` where it failed or tells no links."""
    try:
        return exact_links(owner, outcome.result)
    except Bitrix24Error:
        return None


def _is_exact_read(outcome: CommandOutcome) -> bool:
    return outcome.call.method.endswith(".items.get") or outcome.call.method == ITEM_GET


def _owner_of(outcome: CommandOutcome) -> int:
    return int(outcome.call.params.get("id", 0))


def _told_by(kind: OwnerKind, look: CommandOutcome) -> tuple[list[OwnerState], dict[int, str]]:
    """Give the states that a look tells which cannot be right as a whole, and why others are not known."""
    asked: list[int] = look.call.params["filter"]["@id"]
    if look.answer is None:
        return [], dict.fromkeys(asked, str(look.fault.answer) if look.fault else gettext("no answer"))
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
