"""One apply of one plan: its changes, and where their outcomes go."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TypeVar

from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.plan import Change, ChangeOutcome, OutcomeName
from airflow_bitrix.files import part_name
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.journal_objects import Spool
from airflow_bitrix.files.journals import SETTLED, JournalPart, ledger_of
from airflow_bitrix.files.leases import Lease
from airflow_bitrix.files.plans import Manifest, read_changes

T = TypeVar("T")

LATELY = 1800.0
"""Seconds for which a run that goes on where another ended takes its word for what it settled."""


class RunJournal:
    """The journal of a plan, or of parts of it: each outcome goes to the part that its change came from.

    :param plan: Folder of the plan.
    :param manifest: The plan's manifest.
    :param journal: Folder of the journal.
    :param dry_run: Whether the run only looks.
    :param files: Closes the parts in the end.
    :param numbers: Numbers of the parts; ``None`` for all.
    :param leases: What has to be held still when a request that writes leaves.
    :param comments: Whether comments are made on what was changed.
    :raises RetryLater: Another task writes the journal now.
    """

    def __init__(
        self,
        plan: Path,
        manifest: Manifest,
        journal: Path,
        *,
        dry_run: bool,
        files: ExitStack,
        numbers: Sequence[int] | None = None,
        leases: Sequence[Lease] = (),
        comments: bool = False,
    ) -> None:
        self._leases = leases
        self._plan = plan
        self._manifest = manifest
        self._part_of: dict[int, int] = {}
        self._keeps_parts = comments
        self.counts: Counter[OutcomeName] = Counter()
        """Outcomes that were noted by this run."""
        self.tried: Counter[OutcomeName] = Counter()
        """Outcomes of owners that were written, by this run or an earlier one that settled them."""
        self.settled: dict[int, ChangeOutcome] = {}
        self.settled_lately: set[int] = set()
        """Settled owners that need no look: another run ended midway, and settled them not long ago."""
        self.begun: dict[int, LinkSet] = {}
        """What owners held, by id, whose write was begun and never came to an end."""
        self.owed: set[int] = set()
        """Ids of those among them that the portal is known not to have saved."""
        self.announced: dict[int, float] = {}
        """When comments were announced that nothing was heard of, by owner id, unix time."""
        self._commented: set[int] = set()
        self._standing: set[int] = set()
        self._numbers = range(len(manifest.parts)) if numbers is None else numbers
        spool = Spool()
        paths = {number: journal / part_name(number) for number in self._numbers}
        # Opened, and with that locked, before they are read: nobody adds to them any more.
        self._parts = {
            number: files.enter_context(
                JournalPart(path, plan_hash=manifest.hash, dry_run=dry_run, spool=spool)
            )
            for number, path in paths.items()
        }
        began, is_open = time.time(), False
        for number, part in self._parts.items():
            ledger = ledger_of(part.lines(), manifest.kind)
            is_open |= len(ledger.last) < manifest.parts[number]["changes"]
            self.settled |= ledger.settled
            self.owed |= ledger.owed
            self._commented |= ledger.commented
            self.announced |= ledger.announced
            self.begun |= {
                owner_id: links
                for owner_id, links in ledger.writing.items()
                if owner_id not in ledger.settled
            }
            self.tried.update(outcome.outcome for outcome in ledger.settled.values())
            standing = {owner_id for owner_id in ledger.settled if ledger.last[owner_id].outcome in SETTLED}
            self._standing |= standing
            self.settled_lately |= {one for one in standing if 0 <= began - ledger.noted[one] < LATELY}
        if dry_run or not is_open:
            self.settled_lately.clear()

    def changes(self) -> Iterator[Change]:
        """Give the changes, part by part."""
        for number in self._numbers:
            for change in read_changes(self._plan, self._manifest, number):
                self._part_of[change.owner.id] = number
                yield change

    def writing(self, befores: Sequence[LinkSet]) -> Callable[[], Awaitable[None]]:
        """Note what owners hold that are about to be written.

        :return: To be awaited as the request leaves. With an error it may not: the journal cannot be written,
            or another task goes on in the place of this one (``RetryLater``).
        """
        by_part = self._by_part((before.owner.id, before) for before in befores)
        return partial(self._save, [(part, part.writing(some)) for part, some in by_part])

    def _by_part(self, told: Iterable[tuple[int, T]]) -> list[tuple[JournalPart, list[T]]]:
        """Give what is to be told, each with its owner's id, by the part that it goes to."""
        by_part: dict[int, list[T]] = {}
        for owner_id, one in told:
            by_part.setdefault(self._part_of[owner_id], []).append(one)
        return [(self._parts[number], some) for number, some in by_part.items()]

    async def _save(self, notes: Sequence[tuple[JournalPart, int]]) -> None:
        """Make sure that a request may leave, and that what was noted of it outlives this task.

        A save keeps what other requests are about to write as well. These wait for the portal's bucket at the
        same time, and need none of their own when they leave.
        """
        for lease in self._leases:
            if lease.is_due:
                await asyncio.to_thread(lease.check)
        for part, number in notes:
            if not part.is_saved(number):
                await asyncio.to_thread(part.save)

    def owing(self, owner_ids: Sequence[int]) -> None:
        """Note that the portal told that it did not save these owners."""
        for part, some in self._by_part((one, one) for one in owner_ids):
            part.owing(some)

    def is_commented(self, owner_id: int) -> bool:
        """Whether the comment on an owner was made, or refused."""
        return owner_id in self._commented

    def commenting(self, owner_ids: Sequence[int]) -> Callable[[], Awaitable[None]]:
        """Note on which owners comments are about to be made; what it gives is that of :meth:`writing`."""
        by_part = self._by_part((one, one) for one in owner_ids)
        return partial(self._save, [(part, part.commenting(some)) for part, some in by_part])

    def commented(self, made: Sequence[int], refused: Sequence[int], why: str) -> None:
        """Note on which owners comments were made, and on which they were refused, and why the first was."""
        told = [(one, one not in refused) for one in (*made, *refused)]
        for part, some in self._by_part((one, (one, is_made)) for one, is_made in told):
            not_made = [one for one, is_made in some if not is_made]
            part.commented([one for one, is_made in some if is_made], not_made, why if not_made else "")
        for one, _ in told:
            del self._part_of[one]
        self._commented.update(made, refused)

    def note(self, outcome: ChangeOutcome) -> None:
        """Note the outcome of one change."""
        owner_id = outcome.owner.id
        part = self._part_of[owner_id]
        if not self._keeps_parts or outcome.outcome not in ("applied", "drift"):
            del self._part_of[owner_id]
        is_news = not (outcome.outcome in SETTLED and owner_id in self._standing)
        if is_news:
            self._parts[part].note(outcome)
            self.counts[outcome.outcome] += 1
        if outcome.before is not None and owner_id not in self.settled:
            self.tried[outcome.outcome] += 1

    def note_effort(self, effort: ApplyCost) -> None:
        """Note what this try cost."""
        for number in self._numbers[:1]:
            self._parts[number].note_effort(effort)
