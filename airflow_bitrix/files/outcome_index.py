"""Every change of a plan beside its outcome, to be counted, sorted, searched and read a page at a time.

An index holds numbers only, about 33 bytes a change: where its lines lie in plan, journal and names, and what
became of it. It is made from raw lines; making values of all of them would take thrice the time.
"""

from __future__ import annotations

import csv
import heapq
import logging
from array import array
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple, cast

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.languages import gettext, gettext_noop, in_all_languages
from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.files import part_name
from airflow_bitrix.files.apply_costs import NOTHING, ApplyCost
from airflow_bitrix.files.apply_times import ApplyTimes
from airflow_bitrix.files.csv_cells import text_of_cell
from airflow_bitrix.files.damage import DAMAGED, damaged, reading
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.indexed_parts import (
    APPLIED,
    BIGGEST,
    NOWHERE,
    OVERWRITE,
    STATES,
    IndexedPart,
    PartLines,
    index_part,
)
from airflow_bitrix.files.journals import outcome_of
from airflow_bitrix.files.kept_indexes import kept_parts, packed
from airflow_bitrix.files.names import NAMES
from airflow_bitrix.files.own_files import open_new
from airflow_bitrix.files.plain_files import open_text
from airflow_bitrix.files.plans import MANIFEST, Manifest, read_manifest
from airflow_bitrix.files.stamps import Stamp, stamp
from airflow_bitrix.files.storage_errors import storing
from airflow_bitrix.files.stored_paths import StoredPath, looked_at

SINCE = gettext_noop("applied, and ")
"""How the reason begins where a check found an owner changed after it was applied."""

Sort = Literal["plan", "owner", "-owner", "outcome"]
SORTS: tuple[Sort, ...] = ("plan", "owner", "-owner", "outcome")

INDEX = "index"
"""A file beside the parts of a journal, see :func:`keep_index`."""

FEW = 500
"""Rows that are read by themselves where a request is dearer than what it brings."""

AHEAD = 8
"""Parts that are read at once from an object storage."""

OVERWRITTEN = "overwritten"
"""What a change is called that took away what somebody had changed meanwhile; it counts as applied."""

Joined = tuple[Change, ChangeOutcome | None]
"""A change and its outcome, ``None`` while it has none."""

Named = tuple[Change, ChangeOutcome | None, OwnerNames]
"""The same, and what its owner and contacts are called."""


log = logging.getLogger(__name__)


class _Places(NamedTuple):
    """Where the lines of a row begin, in bytes; :data:`NOWHERE` where there is none."""

    number: int
    owner_id: int
    lines: PartLines
    planned_at: int
    noted_at: int
    named_at: int


@dataclass(frozen=True, slots=True)
class OutcomeIndex:
    """Every change of a plan and what became of it. A row is the place of a change in its plan, from 0 on.

    :param plan: Folder of the plan.
    :param journal: Folder of its journal.
    :param since: What a check found later of owners that were written, by id.
    :param checked: State of the file that this was read from; empty where none was read.
    :param noted: When an outcome was noted last, unix time; ``None`` where nothing has been applied.
    """

    plan: Path
    journal: Path
    manifest: Manifest
    since: Mapping[int, str]
    checked: Stamp
    noted: float | None
    parts: Sequence[IndexedPart]

    @property
    def is_begun(self) -> bool:
        """Whether an apply of this plan has left a journal."""
        return any(part.is_noted for part in self.parts)

    @property
    def is_dry_run(self) -> bool:
        """Whether all that has been applied were dry runs."""
        return self.is_begun and not any(part.is_real for part in self.parts)

    @property
    def effort(self) -> ApplyCost:
        """What all tries cost that the journal tells of; dry runs count only where there was no other run.

        :raises PlanRefused: A line that tells so is damaged.
        """
        for number, part in enumerate(self.parts):
            if not part.is_cost_told:
                raise damaged(self.journal / part_name(number))
        costs = (part.dry if self.is_dry_run else part.real for part in self.parts)
        return sum(costs, NOTHING)

    @property
    def times(self) -> ApplyTimes:
        """When the outcomes of real runs were noted."""
        found = ApplyTimes()
        for part in self.parts:
            found.add(part.times)
        return found

    @property
    def counts(self) -> dict[str, int]:
        """How many changes are what, by name; names that do not occur count 0."""
        counted: Counter[int] = Counter()
        for part in self.parts:
            counted.update(part.states)
        counted[APPLIED] += counted.pop(APPLIED | OVERWRITE, 0)
        return {name: counted[number] for number, name in enumerate(STATES)}

    @property
    def overwritten(self) -> int:
        """How many of the applied changes took away what somebody had changed meanwhile."""
        return sum(part.states.count(APPLIED | OVERWRITE) for part in self.parts)

    @property
    def by_rule(self) -> dict[str, dict[str, int]]:
        """How many changes of each rule are what; a change of two rules counts for both."""
        found: dict[str, dict[str, int]] = {}
        for part in self.parts:
            for (rule, state), number in part.by_rule.items():
                counts = found.setdefault(rule, dict.fromkeys(STATES, 0))
                counts[STATES[state & ~OVERWRITE]] += number
        return found

    @property
    def biggest(self) -> list[int]:
        """Rows of the changes that alter the most links, the biggest first."""
        every = (
            (size, place - first)
            for first, part in zip(self._firsts(), self.parts, strict=True)
            for size, place in part.biggest
        )
        return [-row for _, row in heapq.nlargest(BIGGEST, every)]

    def rows(
        self,
        states: Iterable[str] = (),
        sort: Sort = "plan",
        matches: Callable[[str], bool] | None = None,
        hints: Sequence[bytes] = (),
    ) -> Sequence[int]:
        """Give the rows of the changes that are one of these, sorted.

        :param states: Names of :data:`STATES`, or :data:`OVERWRITTEN`; none for all.
        :param matches: Is given ids, names and reasons of a change and says whether it is wanted.
        :param hints: What stands, in lower case, in the lines of each change that is wanted; lines without it
            are passed over unread.
        """
        wanted = _wanted(states)
        every = b"".join(part.states for part in self.parts)
        rows = array("L", (row for row, state in enumerate(every) if state in wanted))
        if matches:
            rows = array("L", self._matching(rows, matches, () if self.since else hints))
        if sort == "plan":
            return rows
        if sort == "outcome":
            return array("L", sorted(rows, key=lambda row: every[row] & ~OVERWRITE))
        ids = array("q")
        for part in self.parts:
            ids.extend(part.ids)
        return array("L", sorted(rows, key=ids.__getitem__, reverse=sort == "-owner"))

    def read(self, rows: Iterable[int]) -> Iterator[Joined]:
        """Give changes with their outcomes, in the order of the rows.

        :raises PlanRefused: The plan or its journal was replaced meanwhile, or is damaged.
        """
        return ((change, outcome) for change, outcome, _ in self.read_named(rows))

    def read_named(self, rows: Iterable[int]) -> Iterator[Named]:
        """Give changes with their outcomes and names; see :meth:`read`. Damaged names are none."""
        for row in self._places(rows, self._lines_of(rows)):
            lines, planned, noted = row.lines, *row.lines.both(row.planned_at, row.noted_at)
            try:
                change = Change.from_json(self.manifest.kind, planned)
                outcome = outcome_of(self.manifest.kind, noted) if noted else None
            except DAMAGED as error:
                raise lines.refusal() from error
            if outcome and (why := self.since.get(outcome.owner.id)):
                outcome = replace(outcome, outcome="drift", reason=why)
            yield change, outcome, lines.names(row.named_at, change.owner.id)

    def _matching(
        self, rows: Iterable[int], matches: Callable[[str], bool], hints: Sequence[bytes]
    ) -> Iterator[int]:
        for row in self._places(rows, {}):
            lines, places = row.lines, (row.planned_at, row.noted_at, row.named_at)
            if lines.may_hold(hints, *places):
                # Of most that are found by names alone nothing else needs to be read.
                names = lines.names_text(row.named_at, row.owner_id)
                if (names and matches(names)) or matches(f"{self._text(row)} {names}"):
                    yield row.number

    def _lines_of(self, rows: Iterable[int]) -> Mapping[Path, Mapping[int, bytes]]:
        """Read the lines of few rows by themselves, where they lie on an object storage."""
        if not isinstance(self.plan, StoredPath) or not isinstance(self.journal, StoredPath):
            return {}
        if not isinstance(rows, Sequence) or len(rows) > FEW:
            return {}
        firsts, wanted = self._firsts(), defaultdict[StoredPath, list[int]](list)
        for row in rows:
            number = bisect_right(firsts, row) - 1
            part, place = self.parts[number], row - firsts[number]
            wanted[self.plan / part_name(number)].append(part.planned_at[place])
            if part.noted_at[place] != NOWHERE:
                wanted[self.journal / part_name(number)].append(part.noted_at[place])
            if part.named_at[place] != NOWHERE:
                wanted[self.plan.parent / NAMES / part_name(number)].append(part.named_at[place])
        # What lies behind a part's end lies in its objects, which are read with it.
        inside = {path: places for path, places in wanted.items() if max(places) < path.size}
        told = self.plan.look.lines({path.path: places for path, places in inside.items()})
        return {cast("Path", path): told[path.path] for path in inside}

    def _places(self, rows: Iterable[int], told: Mapping[Path, Mapping[int, bytes]]) -> Iterator[_Places]:
        """Give where the lines of each row begin; a part is read once for rows that stand together."""
        firsts = self._firsts()
        number, lines = -1, None
        for row in rows:
            found = bisect_right(firsts, row) - 1
            if lines is None or found != number:
                number, lines = found, self._open(found, told)
            part, place = self.parts[number], row - firsts[number]
            at = part.planned_at[place], part.noted_at[place], part.named_at[place]
            yield _Places(row, part.ids[place], lines, *at)

    def _open(self, number: int, told: Mapping[Path, Mapping[int, bytes]]) -> PartLines:
        if not told:
            _warm(self.plan, self.journal, range(number, min(number + AHEAD, len(self.parts))))
        part, name = self.parts[number], part_name(number)
        journal = self.journal / name if part.is_noted else None
        names = self.plan.parent / NAMES / name if min(part.named_at, default=NOWHERE) != NOWHERE else None
        return PartLines(self.plan, self.manifest, number, journal, names=names, told=told)

    def _text(self, row: _Places) -> str:
        """Give ids, contacts and reasons of a change, to be searched."""
        planned, noted = row.lines.both(row.planned_at, row.noted_at)
        try:
            reason = (self.since.get(planned["owner"]) or noted["reason"]) if noted else ""
            before = (noted and noted["before"]) or planned["before"]
            contacts = " ".join(str(link[0]) for link in (*before, *planned["after"]))
            return f"{planned['owner']} {contacts} {reason or ' '.join(planned['reasons'])}"
        except DAMAGED as error:
            raise row.lines.refusal() from error

    def _firsts(self) -> list[int]:
        firsts, total = [], 0
        for part in self.parts:
            firsts.append(total)
            total += len(part.ids)
        return firsts


def _wanted(states: Iterable[str]) -> frozenset[int]:
    names = set(states)
    wanted = {number for number, name in enumerate(STATES) if name in names or not names}
    if OVERWRITTEN in names:
        wanted.add(APPLIED | OVERWRITE)
    return frozenset(wanted | ({APPLIED | OVERWRITE} if APPLIED in wanted else set()))


def read_index(folder: Path, earlier: OutcomeIndex | None = None) -> OutcomeIndex:
    """Index the plan in ``<folder>/plan`` and the journal beside it.

    :param earlier: An index of the same folder; what was not written since is taken from it.
    :raises PlanRefused: There is no plan, or it was edited, or it cannot be read.
    """
    with reading(folder / "plan" / MANIFEST):
        return _read_index(folder / "plan", folder / "journal", folder / "failed.csv", earlier)


def _read_index(plan: Path, journal: Path, failed: Path, earlier: OutcomeIndex | None) -> OutcomeIndex:
    made_from = stamp(plan / MANIFEST)
    manifest = read_manifest(plan)
    known = {part.stamp: part for part in earlier.parts} if earlier else kept_parts(journal / INDEX)
    names = [part_name(number) for number in range(len(manifest.parts))]
    stamps = [stamp(journal / name) for name in names]
    noted = max((seen[0] for seen in stamps if seen), default=None)
    checked = stamp(failed)
    if noted is None or not checked or checked[0] < noted:
        checked = ()  # an apply goes on since: what was found then says nothing now
    since: Mapping[int, str] = {}
    if checked:
        if earlier and earlier.checked == checked:
            since = earlier.since
        else:
            since = _changed_since(failed, manifest.changes)
    whole = (manifest.hash, made_from, checked if since else ())
    parts = []
    for number, name in enumerate(names):
        of_part = (*whole, number, stamp(plan / name), stamps[number], _named(plan.parent / NAMES / name))
        part = known.get(of_part)
        if part is None or len(part.ids) != manifest.parts[number]["changes"]:
            _warm(plan, journal, range(number, min(number + AHEAD, len(names))))
            part = index_part(plan, manifest, number, journal=journal, since=since, made_from=of_part)
        parts.append(part)
    return OutcomeIndex(plan, journal, manifest, since, checked, noted / 1e9 if noted else None, parts)


def _named(path: Path) -> Stamp:
    """Tell the state of a file of names; of one that cannot be looked at as of none."""
    try:
        return stamp(path)
    except OSError:
        return ()


def keep_index(folder: Path) -> None:
    """Keep an index beside the journal in a task's folder.

    Where that cannot be done it is logged: a report then takes longer, and says the same.
    """
    path = folder / "journal" / INDEX
    try:
        content = packed(read_index(folder if is_on_disk(folder) else looked_at(folder)).parts)
        with storing(path), open_new(path) as file:
            file.buffer.write(content)
    except (Bitrix24Error, OSError, TypeError) as error:
        log.warning(
            "%s", gettext("No index is kept by which the report would be shown faster: {error}", error=error)
        )


def _warm(plan: Path, journal: Path, numbers: Iterable[int]) -> None:
    """Read parts at once that are to be read one after the other, where they lie on an object storage."""
    if isinstance(plan, StoredPath) and isinstance(journal, StoredPath):
        now, *later = [
            [(folder / part_name(number)).path for folder in (plan, journal, plan.parent / NAMES)]
            for number in numbers
        ]
        plan.look.warm(now, (path for three in later for path in three))


def _changed_since(path: Path, most: int) -> dict[int, str]:
    """Read from ``failed.csv`` what a check found: the journal ends with the apply and cannot tell it.

    People open that file and save it again as their spreadsheet likes. One that cannot be read says nothing.

    :param most: How many changes there are; a file that tells of more is another's.
    """
    found: dict[int, str] = {}
    begins = in_all_languages(SINCE)  # a check may have spoken another one than is spoken here
    try:
        with open_text(path, newline="") as file:
            for row in csv.DictReader(file):
                reason = text_of_cell(row["reason"])
                if row["outcome"] == "drift" and reason.startswith(begins):
                    found[int(row["owner_id"])] = reason
                if len(found) > most:
                    return {}
    except (OSError, *DAMAGED):
        return {}
    return found
