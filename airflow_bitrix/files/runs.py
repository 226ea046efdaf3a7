"""One apply of one plan: its changes, and where their outcomes go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path

from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.plan import Change, ChangeOutcome, OutcomeName
from airflow_bitrix.files import part_name
from airflow_bitrix.files.efforts import Effort
from airflow_bitrix.files.journals import JournalPart, read_ledger
from airflow_bitrix.files.plans import Manifest, read_changes


class RunJournal:
    """The journal of a plan, or of parts of it: each outcome goes to the part that its change came from.

    :param plan: Folder of the plan.
    :param manifest: The plan's manifest.
    :param journal: Folder of the journal.
    :param dry_run: Whether the run only looks.
    :param files: Closes the parts in the end.
    :param numbers: Numbers of the parts; ``None`` for all.
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
    ) -> None:
        self._plan = plan
        self._manifest = manifest
        self._part_of: dict[int, int] = {}
        self.counts: Counter[OutcomeName] = Counter()
        """Outcomes that were noted by this run."""
        self.applied: dict[int, LinkSet | None] = {}
        self.begun: set[int] = set()
        self._numbers = range(len(manifest.parts)) if numbers is None else numbers
        paths = {number: journal / part_name(number) for number in self._numbers}
        # Opened, and with that locked, before they are read: nobody adds to them any more.
        self._parts = {
            number: files.enter_context(JournalPart(path, plan_hash=manifest.hash, dry_run=dry_run))
            for number, path in paths.items()
        }
        for path in paths.values():
            ledger = read_ledger(path, manifest.kind)
            self.applied |= ledger.applied
            self.begun |= ledger.writing - ledger.applied.keys()

    def changes(self) -> Iterator[Change]:
        """Give the changes, part by part."""
        for number in self._numbers:
            for change in read_changes(self._plan, self._manifest, number):
                self._part_of[change.owner.id] = number
                yield change

    def writing(self, changes: Sequence[Change]) -> None:
        """Note that these changes are about to be written."""
        by_part: dict[int, list[Change]] = {}
        for change in changes:
            by_part.setdefault(self._part_of[change.owner.id], []).append(change)
        for number, some in by_part.items():
            self._parts[number].writing(some)

    def note(self, outcome: ChangeOutcome) -> None:
        """Note the outcome of one change."""
        self._parts[self._part_of.pop(outcome.owner.id)].note(outcome)
        self.counts[outcome.outcome] += 1

    def note_effort(self, effort: Effort) -> None:
        """Note what this try cost."""
        for number in self._numbers[:1]:
            self._parts[number].note_effort(effort)
