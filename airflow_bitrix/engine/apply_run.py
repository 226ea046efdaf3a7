"""A run of writes in several lanes: what goes into a request, what waits, and what becomes of each change.

A write request holds up to 48 commands and two looks: a look at the owners that it writes; each change's
link command and its save; ``items.get`` for each owner of the next request; and a look at the owners just
written and at those of the next request. So what is written was read exactly one request earlier, and stands
in the journal before the write leaves; what somebody did in between is seen; what is called applied was read
back; and looking costs no request of its own.

Where links stay, their sorts and flags count, which no look shows: an ``items.get`` behind the write reads
them back.

A write whose answer was lost is never sent again blindly: its owners are looked at first, after a while. A
save that was carried out shall not start the portal's automation twice. Each time it is sent with fewer
others: where one change is what kills its requests, as a faulty event handler of the portal's does, the
others shall not fail with it.

What is to be repeated comes before what is new, so that a portal that takes nothing is noticed soon.

A change is written whole or not at all as far as it lies with us: while one of its methods rests, the change
waits, and others go on. What the portal puts off for its operating time is never called failed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

from airflow_bitrix.client.batch import MOST_COMMANDS, account_of
from airflow_bitrix.client.flow import wait_async
from airflow_bitrix.client.pacing import Account, Rest
from airflow_bitrix.client.portal import AsyncPortal, together
from airflow_bitrix.client.stopping import ToldToStopError
from airflow_bitrix.client.wire import Call, error_of, resting
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.exact_links import exact_method
from airflow_bitrix.core.kind_words import linked_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.link_writes import MOST_LINKS
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import ChangeOutcome, OutcomeName, Standing, shown_state, standing, unsaved
from airflow_bitrix.crm.owner_reads import OwnerReads, Seen
from airflow_bitrix.engine.apply_interfaces import Gate, Journal, Progress
from airflow_bitrix.engine.change_tasks import ChangeTask
from airflow_bitrix.engine.comments import Comments
from airflow_bitrix.engine.preconditions import lost_preconditions

STRETCH = 2500
"""Changes that one look covers."""

_BATCHES, _LOOKS = Account("batch"), account_of("crm.item.list")


class ApplyRun:
    """A run over the changes of one kind.

    :param portal: The portal.
    :param kind: The kind of the owners.
    :param journal: Takes what is about to be written, and the outcomes.
    :param progress: Called with the number of changes that have just got their outcome.
    :param gate: Asked before each write request.
    :param comments: Takes what was changed, to say so on its card; ``None`` where nobody is to be told there.
    """

    def __init__(
        self,
        portal: AsyncPortal,
        kind: OwnerKind,
        journal: Journal,
        progress: Progress,
        gate: Gate,
        *,
        comments: Comments | None = None,
    ) -> None:
        self._portal = portal
        self._looks = OwnerReads(portal, kind)
        self._reads = account_of(exact_method(kind))
        self._journal = journal
        self._progress = progress
        self._gate = gate
        self._comments = comments
        self._queue: deque[ChangeTask] = deque()
        self._held: list[ChangeTask] = []
        self._rested = 0.0
        """Seconds waited for methods to be called again since any change got its outcome."""
        self._ended: Exception | None = None

    async def stretch(self, tasks: Sequence[ChangeTask], *, dry_run: bool) -> None:
        """Carry out some changes, at most :data:`STRETCH`, and note their outcomes.

        :raises Bitrix24Error: As :func:`~airflow_bitrix.engine.apply.apply_changes` says.
        """
        if not dry_run and not self._may_go_on():
            self._end_if_ended()
        seen = await self._look(tasks)
        await self._check_preconditions([task for task in tasks if not task.settled], seen)
        ready = await self._sort_out(tasks, seen)
        self._end_if_ended()
        if dry_run:
            for task in ready:
                self._note(task, "skipped", f"dry run: {'; '.join(task.change.reasons)}")
            return
        self._queue.extend(ready)
        while self._queue:
            groups = [group for _ in range(self._portal.in_flight) if (group := self._next_group())]
            known = await self._known([task for group in groups for task in group])
            self._end_if_ended()
            await together([self._lane([task for task in group if id(task) in known]) for group in groups])
            self._end_if_ended()
            if self._queue:  # the lanes ended because methods rest: what was repeated was not looked at since
                left = list(self._queue)
                self._queue.clear()
                self._queue.extend(await self._sort_out(left, await self._look(left)))
                self._end_if_ended()
            else:
                await self._rest()

    async def _check_preconditions(self, tasks: Sequence[ChangeTask], seen: Seen) -> None:
        """Find out which changes have lost their ground: contacts and other owners that they count on."""
        open_ones = [
            task
            for task in tasks
            if (now := seen.states.get(task.change.owner.id)) and standing(task.change, now)[0] != "done"
        ]
        gone = await lost_preconditions(self._portal, [task.change for task in open_ones])
        for task in open_ones:
            task.lost = gone.get(task.change.owner.id, "")

    async def _lane(self, group: list[ChangeTask]) -> None:
        """Write until there is nothing left to write, or the run ends.

        An error ends it, too: the other lanes account for what is under way.
        """
        try:
            await self._write_on(group)
        except (Bitrix24Error, ToldToStopError) as error:
            self._ended = self._ended or error

    async def _write_on(self, group: list[ChangeTask]) -> None:
        """Write one group after the other, each request looking at the owners of the next."""
        while (group := self._free(group)) and self._may_go_on():
            upcoming = self._next_group(group)
            seen = await self._write(group, upcoming)
            if self._comments:
                await self._comments.send()
            group = await self._sort_out(upcoming, seen, exactly=True)
            while not group and self._queue and not self._ended:  # none of the upcoming needs a write
                upcoming = self._next_group()
                group = await self._sort_out(upcoming, await self._look(upcoming), exactly=True)

    def _may_go_on(self) -> bool:
        self._ended = self._ended or self._gate()
        return self._ended is None

    async def _known(self, tasks: Sequence[ChangeTask]) -> set[int]:
        """Find out the exact links of tasks that were looked at, and give those (``id()``) to be written."""
        unsure = [task for task in tasks if task.known is None]
        ready = [task for task in tasks if task.known is not None]
        for at in range(0, len(unsure), MOST_COMMANDS - 1):
            some = unsure[at : at + MOST_COMMANDS - 1]
            ready += await self._sort_out(some, await self._look(some), exactly=True)
        return set(map(id, ready))

    def _next_group(self, beside: Sequence[ChangeTask] = ()) -> list[ChangeTask]:
        """Give the tasks for the next request.

        :param beside: The tasks of the request that reads their exact links.
        """
        group: list[ChangeTask] = []
        room = self._portal.size - 2
        reads = room - sum(len(task.commands) for task in beside)
        while self._queue:
            task = self._queue[0]
            together_at_most = min(one.beside for one in (*group, task))
            # At least one change goes into a request, however slowly the portal works.
            if group and (task.size > room or len(group) >= min(reads, together_at_most)):
                break
            group.append(self._queue.popleft())
            room -= task.size
        return group

    def _free(self, tasks: Sequence[ChangeTask]) -> list[ChangeTask]:
        """Give the tasks none of whose methods rests, and hold the others back."""
        free: list[ChangeTask] = []
        for task in tasks:
            (self._held if self._rest_of(task) else free).append(task)
        return free

    def _readable(self, tasks: Sequence[ChangeTask], seen: Seen) -> Sequence[ChangeTask]:
        """Give the tasks whose exact links are known or can be read, and hold the others back."""
        if not self._portal.manners.rest(self._reads):
            return tasks
        self._held += [task for task in tasks if task.change.owner.id not in seen.exact]
        return [task for task in tasks if task.change.owner.id in seen.exact]

    def _rest_of(self, task: ChangeTask) -> Rest | None:
        """Give the rest before a change can be written and looked at, ``None`` where it can be now."""
        return self._portal.manners.rest(*self._accounts(task))

    def _accounts(self, task: ChangeTask) -> list[Account]:
        reads = [] if task.known else [self._reads]
        return [_BATCHES, _LOOKS, *reads, *(account_of(call.method) for call in task.commands)]

    async def _rest(self) -> None:
        """Where changes were held back, wait for the first of their methods, and look at them again.

        A portal that puts a method off for a little while, again and again, is waited for no longer than one
        that lets it rest for long.

        :raises RetryLater: None of them can be written soon enough.
        """
        held, self._held = self._held, []
        rests = [(rest, task) for task in held if (rest := self._rest_of(task))]
        if rests and len(rests) == len(held):
            rest, task = min(rests, key=lambda one: one[0].until)
            self._rested += rest.seconds
            if self._rested > self._portal.manners.patience.max_wait:
                raise error_of(Call(self._resting(task)), resting(rest))
            await wait_async(rest.seconds, self._portal.manners)
        for at in range(0, len(held), STRETCH):
            some = held[at : at + STRETCH]
            self._queue.extend(await self._sort_out(some, await self._look(some)))
            self._end_if_ended()

    def _resting(self, task: ChangeTask) -> str:
        """Give the name of the method that a change waits for longest."""
        rest = self._portal.manners.rest
        return max(
            self._accounts(task), key=lambda account: found.until if (found := rest(account)) else 0.0
        ).method

    def _end_if_ended(self) -> None:
        if self._ended:
            raise self._ended

    async def _refine(self, tasks: Sequence[ChangeTask], seen: Seen, *, exactly: bool = False) -> None:
        """Put exact links into what was seen, where sorts and flags count and a look does not tell them.

        What an earlier run settled is not written any more: there the look has to do, for 2,500 at a time.

        :param exactly: Whether the exact links are wanted in any case.
        """
        unsure = []
        for task in tasks:
            owner_id = task.change.owner.id
            if not task.settled and (now := seen.states.get(owner_id)):
                doubtful = False
                if exact := seen.exact.get(owner_id):
                    task.known = exact.with_scalar(now.links.shown_id)
                    doubtful = not task.known.agrees_with(now.links)
                refined = task.refined(now, exactly=exactly or doubtful)
                seen.states[owner_id] = refined or now
                if refined is None:
                    unsure.append(task)
        if not unsure:
            return
        self._noted(await self._looks.read_exactly(seen, _ids(unsure)))
        for task in unsure:
            told = seen.states.get(task.change.owner.id)
            task.known = told.links if told else None

    async def _sort_out(
        self, tasks: Sequence[ChangeTask], seen: Seen, *, exactly: bool = False
    ) -> list[ChangeTask]:
        """Account for the tasks that need no write, give back those that do.

        :param exactly: Whether they are written next: nothing is written whose links are not known exactly.
        """
        if exactly:
            tasks = self._readable(tasks, seen)
        await self._refine(tasks, seen, exactly=exactly)
        ready = []
        for task in tasks:
            owner = task.change.owner
            now = seen.states.get(owner.id)
            if now is None:
                if not seen.later:
                    self._note(task, "failed", seen.missing(owner))
                continue
            stands, difference = task.stands(now)
            if task.settled:
                self._settle(task, task.settled, stands, now)
            elif stands == "done":
                self._note(task, *(("applied", task.remark) if task.written else ("already",)))
            elif stands == "drift":
                self._note(task, "failed" if task.tries else "drift", _all_of(task.reason, difference))
            elif task.lost:
                self._note(task, "drift", task.lost)
            elif len(task.change.after.links) > MOST_LINKS and task.replaces:
                why = gettext("more than {most} links do not fit into a batched items.set", most=MOST_LINKS)
                self._note(task, "failed", why)
            else:
                task.unsaved = stands == "unsaved"
                ready.append(task)
        return ready

    def _settle(self, task: ChangeTask, settled: ChangeOutcome, stands: Standing, now: OwnerState) -> None:
        """Account for what an earlier run settled: it is never written again by the same plan."""
        if stands != "done":
            said = gettext(
                "{outcome} before, and changed since: {kinds} are now {linked}",
                outcome=settled.outcome,
                linked=shown_state(task.change, now),
                **linked_words(task.change.owner.kind),
            )
            self._tell(task, replace(settled, outcome="drift", reason=said), settled)
        else:
            self._tell(task, settled)

    async def _write(self, group: Sequence[ChangeTask], upcoming: Sequence[ChangeTask]) -> Seen:
        """Send one write request, account for its tasks, and give what it saw of the upcoming ones."""
        leaves = self._journal.writing([task.begin() for task in group])
        look = self._looks.calls(_ids(group))
        parts = [task.commands for task in group]
        reads = [] if self._portal.manners.rest(self._reads) else self._looks.exact_calls(_ids(upcoming))
        looks = self._looks.calls([*_ids(group), *_ids(upcoming)])
        calls = [*look, *(call for part in parts for call in part), *reads, *looks]
        told = await self._portal.run_batch(calls, repeat=False, leaves=leaves)
        answered, outcomes = any(one.ok for one in told), iter(told)
        there: dict[int, OwnerState] = {}
        for one in islice(outcomes, len(look)):
            there |= self._looks.told(one)
        for task, part in zip(group, parts, strict=True):
            state = there.get(task.change.owner.id)
            task.learn(list(islice(outcomes, len(part))), state, answered=answered)
        if owing := [task.change.owner.id for task in group if task.owes_save]:
            self._journal.owing(owing)
        if repeat := max(task.repeat for task in group):
            manners = self._portal.manners
            await wait_async(manners.retries.delay(repeat, manners.luck()), manners)
        seen = self._noted(await self._looks.read(list(outcomes)))
        await self._account(group, seen)
        return seen

    async def _account(self, group: Sequence[ChangeTask], seen: Seen) -> None:
        """Account for what was written, by what was seen afterwards; queue again what may yet succeed."""
        for task in group:
            if task.read_back is not None and (now := seen.states.get(task.change.owner.id)):
                task.known = task.read_back.with_scalar(now.links.shown_id)
        await self._refine(group, seen)
        again = []
        for task in group:
            owner = task.change.owner
            now = seen.states.get(owner.id)
            if not task.tries or task.put_off or (now is None and seen.later):
                self._queue.extend(await self._sort_out([task], seen))
                continue
            if now is None:
                self._note(task, "failed", task.reason or seen.missing(owner))
                continue
            stands, difference = task.stands(now)
            if stands == "done":
                self._note(task, "applied", task.remark)
            elif not task.is_spent and stands != "drift":
                again.append(task)
            elif stands == "drift" and task.is_confirmed:
                said = gettext("written, and changed by somebody right after: {now}", now=difference)
                self._note(task, "drift", said)
            else:
                unconfirmed = unsaved(task.change, now) if stands == "unsaved" else ""
                said = _all_of(task.reason or unconfirmed, difference)
                self._note(task, "failed", said or gettext("the write left no trace"))
        self._queue.extendleft(reversed(again))

    async def _look(self, tasks: Sequence[ChangeTask]) -> Seen:
        unsettled = [task for task in tasks if not task.settled]
        return self._noted(await self._looks.look(_ids(tasks), exactly=_ids(unsettled)))

    def _noted(self, seen: Seen) -> Seen:
        """Let the run come to its end where even looking has to rest for long."""
        self._ended = self._ended or seen.later
        return seen

    def _note(self, task: ChangeTask, outcome: OutcomeName, reason: str = "") -> None:
        self._tell(task, ChangeOutcome(task.change.owner, outcome, reason, task.before, task.company))

    def _tell(self, task: ChangeTask, outcome: ChangeOutcome, done: ChangeOutcome | None = None) -> None:
        """Note an outcome.

        :param done: What an earlier run did, where somebody has changed it since.
        """
        self._journal.note(outcome)
        if self._comments:
            self._comments.take(task.change, done or outcome)
        self._rested = 0.0
        self._progress(1)


def _all_of(*texts: str) -> str:
    return "; ".join(filter(None, texts))


def _ids(tasks: Sequence[ChangeTask]) -> list[int]:
    return [task.change.owner.id for task in tasks]
