"""Carrying out changes: look, write, look again, and account for every one of them.

A write request holds up to 48 commands and two looks: each change's ``items.get``, its link command and its
save; then one look at what was just written, and one at the owners of the next request. So what is written
was seen one request earlier, what is called applied was read back, and looking costs no request of its own.

A write whose answer was lost is never sent again blindly: its owners are looked at first. A save that was
carried out shall not start the portal's automation twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Protocol

from airflow_bitrix.client.batch import MOST_VALUES, CommandOutcome
from airflow_bitrix.client.portal import AsyncPortal, together
from airflow_bitrix.client.scan import ask_links, look_calls, states_of
from airflow_bitrix.client.wire import DONE_NOTHING, REPEATABLE, Call, FaultKind
from airflow_bitrix.core import methods
from airflow_bitrix.core.errors import AuthFailed
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind
from airflow_bitrix.core.plan import (
    Change,
    ChangeOutcome,
    OutcomeName,
    Standing,
    save_command,
    shown_contacts,
    standing,
    write_commands,
)
from airflow_bitrix.core.states import OwnerState

STRETCH = 2500
"""Changes that one look covers."""

TRIES = 4
"""How often one change is written before it counts as failed."""

WAITS = 20
"""How often the portal may put off a change before that counts as a try."""

MOST_LINKS = MOST_VALUES // 3 - 1
"""Links that one batched ``items.set`` can hold: each takes three values."""

LOOKS = 4
"""How often a look is made before its owners count as failed."""


class Journal(Protocol):
    """Where outcomes are kept as they happen."""

    def writing(self, changes: Sequence[Change]) -> None:
        """Note that these changes are about to be written."""

    def note(self, outcome: ChangeOutcome) -> None:
        """Note the outcome of one change."""


@dataclass(slots=True)
class _Task:
    change: Change
    written: bool = False
    settled: bool = False
    tries: int = 0
    waits: int = 0
    before: LinkSet | None = None
    reason: str = ""
    unsaved: bool = False
    remark: str = ""

    @property
    def commands(self) -> list[Call]:
        change = self.change
        wanted = [] if self.unsaved else write_commands(change)
        if change.save:
            wanted = [*wanted, save_command(change)]
        get = methods.name(change.owner.kind, "items.get"), methods.items_get(change.owner.id)
        return [Call(*command) for command in (get, *wanted)]


@dataclass(slots=True)
class _Seen:
    """What looks told: states of owners, and why others could not be looked at."""

    states: dict[int, OwnerState] = field(default_factory=dict)
    unseen: dict[int, str] = field(default_factory=dict)

    def missing(self, owner: Owner) -> str:
        """Why there is no state of an owner."""
        return self.unseen.get(owner.id, f"{owner} is not there, or the webhook's user may not read it")


Progress = Callable[[int], None]


async def apply_changes(
    portal: AsyncPortal,
    kind: OwnerKind,
    changes: Iterable[Change],
    journal: Journal,
    *,
    written_before: frozenset[int] = frozenset(),
    applied_before: Mapping[int, LinkSet | None] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> None:
    """Carry out changes and note one outcome for each in the journal.

    :param portal: The portal.
    :param kind: Whether the owners are leads or deals.
    :param changes: What to do; each owner at most once.
    :param journal: Takes the outcomes.
    :param written_before: Ids of owners whose write was begun by an earlier run that did not finish.
    :param applied_before: Owners that an earlier run applied and confirmed, with the links that were there
        before. They are looked at; where they are as they were left, their outcome stands.
    :param dry_run: Look only: what would be written becomes ``skipped``.
    :param progress: Called with the number of changes that have just got their outcome.
    :raises RetryLater: The portal takes no more requests. Outcomes noted so far stand; another run goes on.
    :raises AuthFailed: The portal no longer accepts the webhook.
    """
    settled = applied_before or {}
    tasks = (
        _Task(
            change,
            written=change.owner.id in written_before,
            settled=change.owner.id in settled,
            before=settled.get(change.owner.id),
        )
        for change in changes
    )
    run = _Run(portal, kind, journal, progress or _unseen)
    while stretch := list(islice(tasks, STRETCH)):
        await run.stretch(stretch, dry_run=dry_run)


def _unseen(_done: int) -> None:
    """Progress that nobody looks at."""


class _Run:
    def __init__(self, portal: AsyncPortal, kind: OwnerKind, journal: Journal, progress: Progress) -> None:
        self._portal = portal
        self._kind = kind
        self._journal = journal
        self._progress = progress
        self._queue: deque[_Task] = deque()

    async def stretch(self, tasks: Sequence[_Task], *, dry_run: bool) -> None:
        ready = self._sort_out(tasks, await self._look(tasks))
        if dry_run:
            for task in ready:
                self._note(task, "skipped", f"dry run: {'; '.join(task.change.reasons)}")
            return
        self._queue.extend(ready)
        while self._queue:
            groups = [group for _ in range(self._portal.in_flight) if (group := self._next_group())]
            await together([self._lane(group) for group in groups])

    async def _lane(self, group: list[_Task]) -> None:
        """Write one group after the other, each request looking at the owners of the next."""
        while group:
            upcoming = self._next_group()
            seen = await self._write(group, upcoming)
            group = self._sort_out(upcoming, seen)
            while not group and self._queue:  # none of the upcoming needs a write
                upcoming = self._next_group()
                group = self._sort_out(upcoming, await self._look(upcoming))

    def _next_group(self) -> list[_Task]:
        group: list[_Task] = []
        # At least one change goes into a request, however slowly the portal works.
        room = max(self._portal.size - 2, 3)
        while self._queue and (size := len(self._queue[0].commands)) <= room:
            group.append(self._queue.popleft())
            room -= size
        return group

    def _sort_out(self, tasks: Sequence[_Task], seen: _Seen) -> list[_Task]:
        """Account for the tasks that need no write, give back those that do."""
        ready = []
        for task in tasks:
            owner = task.change.owner
            now = seen.states.get(owner.id)
            if now is None:
                self._note(task, "failed", seen.missing(owner))
                continue
            stands, difference = standing(task.change, now)
            if task.settled:
                self._settle(task, stands, now)
            elif stands == "done":
                self._note(task, "applied" if task.written else "already")
            elif stands == "drift":
                self._note(task, "failed" if task.tries else "drift", task.reason or difference)
            elif len(task.change.after.links) > MOST_LINKS:
                self._note(
                    task, "failed", f"more than {MOST_LINKS} links do not fit into a batched items.set"
                )
            else:
                task.unsaved = stands == "unsaved"
                ready.append(task)
        return ready

    def _settle(self, task: _Task, stands: Standing, now: OwnerState) -> None:
        """Account for what an earlier run applied: it is never written again by the same plan."""
        if stands == "done":
            self._progress(1)
            return
        contacts = shown_contacts(now.links)
        self._note(task, "drift", f"applied before, and changed since: contacts are now {contacts}")

    async def _write(self, group: Sequence[_Task], upcoming: Sequence[_Task]) -> _Seen:
        """Send one write request, account for its tasks, and give what it saw of the upcoming ones."""
        self._journal.writing([task.change for task in group])
        parts = [task.commands for task in group]
        looks = [*self._look_calls(group), *self._look_calls(upcoming)]
        outcomes = iter(
            await self._portal.run_batch([call for part in parts for call in part] + looks, repeat=False)
        )
        told = [list(islice(outcomes, len(part))) for part in parts]
        for task, said in zip(group, told, strict=True):
            self._learn(task, said)
        seen = await self._read(list(outcomes))
        self._account(group, seen)
        return seen

    def _learn(self, task: _Task, said: Sequence[CommandOutcome]) -> None:
        """Take from the commands' outcomes what was there before and why something failed."""
        faults = [outcome.fault for outcome in said if outcome.fault]
        if len(faults) == len(said) and all(fault.kind in DONE_NOTHING for fault in faults):
            task.waits += 1
            task.tries += task.waits > WAITS
            task.reason = str(faults[0].answer)
            return  # the portal did not take the request: nothing was written
        task.tries += 1
        got = said[0]
        own_work = task.written and task.unsaved
        if got.ok and task.before is None and not own_work:
            task.before = methods.links_of(task.change.owner, got.result)
            if not task.unsaved and set(task.before.contact_ids) != set(task.change.before.contact_ids):
                contacts = shown_contacts(task.before)
                task.remark = f"somebody changed it after it was looked at; overwritten: contacts {contacts}"
        task.written = True
        # The portal's refusal says more than a passing failure beside it.
        faults.sort(key=lambda fault: fault.kind in REPEATABLE)
        task.reason = str(faults[0].answer) if faults else ""
        if faults and faults[0].kind not in REPEATABLE:
            task.tries = TRIES

    def _account(self, group: Sequence[_Task], seen: _Seen) -> None:
        """Account for what was written, by what was seen afterwards; queue again what may yet succeed."""
        for task in group:
            owner = task.change.owner
            now = seen.states.get(owner.id)
            if not task.tries:  # the portal did not take the request
                self._queue.extend(self._sort_out([task], seen))
                continue
            if now is None:
                self._note(task, "failed", task.reason or seen.missing(owner))
                continue
            stands, difference = standing(task.change, now)
            if stands == "done":
                self._note(task, "applied", task.remark)
            elif task.tries < TRIES and stands != "drift":
                self._queue.append(task)
            else:
                unconfirmed = "still a repeat lead after saving" if stands == "unsaved" else difference
                self._note(task, "failed", task.reason or unconfirmed or "the write left no trace")

    async def _look(self, tasks: Sequence[_Task]) -> _Seen:
        return await self._read(await self._portal.run_batch(self._look_calls(tasks)))

    async def _read(self, looks: Sequence[CommandOutcome]) -> _Seen:
        """Read looks, and look again where one failed: reading costs nothing but a request."""
        seen = _Seen()
        failed = await self._take(seen, looks)
        for _ in range(LOOKS - 1):
            if not failed:
                break
            again = await self._portal.run_batch([outcome.call for outcome in failed])
            failed = await self._take(seen, again)
        for outcome in failed:
            said = f"it could not be looked at: {outcome.fault.answer if outcome.fault else 'no answer'}"
            seen.unseen |= dict.fromkeys(outcome.call.params["filter"]["@id"], said)
        return seen

    async def _take(self, seen: _Seen, looks: Sequence[CommandOutcome]) -> list[CommandOutcome]:
        """Take the states that looks told, and give the looks that failed."""
        for outcome in looks:
            if outcome.ok:
                states = list(states_of(self._kind, outcome.result))
                if not all(state.links_known for state in states):
                    states = await ask_links(self._portal, states, full=False)
                seen.states |= {state.owner.id: state for state in states}
            elif outcome.fault and outcome.fault.kind is FaultKind.AUTH:
                raise outcome.error or AuthFailed(str(outcome.fault.answer))
        return [outcome for outcome in looks if not outcome.ok]

    def _look_calls(self, tasks: Sequence[_Task]) -> list[Call]:
        return look_calls(self._kind, [task.change.owner.id for task in tasks])

    def _note(self, task: _Task, outcome: OutcomeName, reason: str = "") -> None:
        # An answer that was lost took the exact links with it: what the plan was made from stands in.
        before = task.before or (task.change.before if task.written else None)
        self._journal.note(ChangeOutcome(task.change.owner, outcome, reason, before))
        self._progress(1)
