"""Journal files: what became of each change, appended as it happens.

A journal has a part for each part of its plan, one outcome a line. What a crash leaves behind is what was
done.
"""

from __future__ import annotations

import csv
import json
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind, owner_address, positive_id
from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.core.plan import ChangeOutcome, OutcomeName
from airflow_bitrix.files import FORMAT, part_name
from airflow_bitrix.files.apply_costs import ApplyCost, read_apply_costs
from airflow_bitrix.files.atomic_writes import atomic_write
from airflow_bitrix.files.csv_cells import as_cell
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.journal_lines import busy, journal_lines, move_part, opened_lines, told_lines
from airflow_bitrix.files.journal_objects import Spool
from airflow_bitrix.files.named_tables import COLUMNS, cells
from airflow_bitrix.files.own_files import make_folder
from airflow_bitrix.files.plan_locks import refuse_if_applied, turn_at

log = logging.getLogger(__name__)

_ROW = 4
"""Values that tell of one link: contact, sort, primary, role."""

SETTLED: tuple[OutcomeName, ...] = ("applied", "already")
"""Outcomes after which a plan never writes an owner again."""


@dataclass(slots=True)
class Ledger:
    """What a journal part says so far.

    :param last: The last outcome of each owner, by id.
    :param writing: What owners held whose write was begun, by id.
    :param owed: Ids of owners that the last request that was to save them is known not to have saved.
    :param settled: The outcome of owners that were once as the plan wants them, by id, whatever came later.
    :param noted: When the last outcome of each owner was noted, by id, unix time; older journals do not tell.
    :param announced: When a comment on an owner was announced that nothing was heard of, by id, unix time.
    :param commented: Ids of owners whose comment was made, or refused.
    """

    last: dict[int, ChangeOutcome] = field(default_factory=dict)
    writing: dict[int, LinkSet] = field(default_factory=dict)
    owed: set[int] = field(default_factory=set)
    settled: dict[int, ChangeOutcome] = field(default_factory=dict)
    noted: dict[int, float] = field(default_factory=dict)
    announced: dict[int, float] = field(default_factory=dict)
    commented: set[int] = field(default_factory=set)

    def take(self, outcome: ChangeOutcome) -> None:
        """Take an outcome of a real run."""
        owner_id = outcome.owner.id
        self.last[owner_id] = outcome
        if outcome.outcome in SETTLED and (outcome.before or owner_id not in self.settled):
            self.settled[owner_id] = outcome

    def take_dry(self, outcome: ChangeOutcome) -> None:
        """Take an outcome of a dry run, which says nothing of an owner that a real run told about."""
        if outcome.outcome != "skipped" or self.last.get(outcome.owner.id, outcome).outcome == "skipped":
            self.last[outcome.owner.id] = outcome

    def take_comments(self, line: Mapping[str, Any]) -> None:
        """Take what a line tells of comments; others tell nothing of them."""
        self.announced |= dict.fromkeys(line.get("commenting", ()), line.get("at", 0))
        self.commented.update(line.get("commented", ()), line.get("refused", ()))

    def forget_dry_run(self) -> None:
        """Drop what a dry run skipped: a real run has begun."""
        self.last = {number: outcome for number, outcome in self.last.items() if outcome.outcome != "skipped"}


class JournalPart:
    """One part of a journal: appends outcomes, each safe on disk before the next request leaves.

    :param path: The file.
    :param plan_hash: Hash of the plan that is applied.
    :param dry_run: Whether the run only looks.
    :param spool: Keeps lines on this machine that go to an object storage; several parts share one.
    :raises RetryLater: Another task writes this journal now.
    """

    def __init__(self, path: Path, *, plan_hash: str, dry_run: bool, spool: Spool | None = None) -> None:
        self._path = path
        # One for each try: what a dry run skipped says nothing about a real run that follows.
        header = _as_line({"journal": FORMAT, "plan": plan_hash, "dry_run": dry_run})
        self._lines = opened_lines(path, spool or Spool())
        self._noted = self._saved = self._urgent = 0
        """Notes that the next try counts on, how many are saved, and the last that no write may outrun."""
        try:
            self._refuse_another(plan_hash)
            self._lines.begin(header)
        except BaseException:
            self._lines.drop()
            raise

    def _refuse_another(self, plan_hash: str) -> None:
        # Between finding the folder of the journal and this lock another plan may have made it its own.
        found = str(next(self.lines(), {}).get("plan", plan_hash))
        if found != plan_hash:
            about = {"path": self._path, "plan": found[:12]}
            raise RetryLater(gettext("{path} is now the journal of another plan, {plan}", **about))

    def __enter__(self) -> Self:
        """Give the part itself."""
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Save what is not saved, and be done; where something went wrong already, that counts."""
        try:
            self._lines.close()
        except RetryLater as error:
            if kind is None:
                raise
            said = gettext("What came of the last changes is looked up by the next try: {error}", error=error)
            log.warning("%s", said)

    def is_saved(self, number: int) -> bool:
        """Whether what :meth:`writing` noted with this number would outlive this task.

        So would all that another try could not find out by looking: what somebody changed meanwhile.
        """
        return max(number, self._urgent) <= self._saved

    def save(self) -> None:
        """Make sure that all that was noted outlives this task.

        :raises RetryLater: It cannot be written, or another task writes this journal now.
        """
        noted = self._noted
        self._lines.save()
        self._saved = max(self._saved, noted)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Give all lines so far, of earlier tries too."""
        return told_lines(self._lines.content.splitlines(keepends=True), self._path)

    def writing(self, befores: Sequence[LinkSet]) -> int:
        """Note what owners hold that are about to be written; it is to be saved before the request leaves.

        :return: The number of the note, for :meth:`is_saved`.
        """
        return self._announce({"writing": [_as_row(links) for links in befores]})

    def commenting(self, owner_ids: Sequence[int]) -> int:
        """Note on which owners comments are about to be made, as :meth:`writing` does."""
        return self._announce({"commenting": list(owner_ids), "at": int(time.time())})

    def _announce(self, line: dict[str, Any]) -> int:
        self._write(line)
        self._noted += 1
        return self._noted

    def commented(self, made: Sequence[int], refused: Sequence[int], why: str) -> None:
        """Note on which owners comments were made, and on which they were refused, and why the first was."""
        told = {"refused": list(refused), "why": why} if refused else {}
        self._write({"commented": list(made), **told})

    def owing(self, owner_ids: Sequence[int]) -> None:
        """Note that the portal told that it did not save these owners: the next try makes up for it."""
        self._write({"owing": list(owner_ids)})
        self._hurry()

    def note(self, outcome: ChangeOutcome) -> None:
        """Note the outcome of one change."""
        line = {"owner": outcome.owner.id, "outcome": outcome.outcome, "reason": outcome.reason}
        _, before, *scalar = _as_row(outcome.before) if outcome.before else (0, None)
        told = {"scalar": scalar[0] if scalar else None, "company": outcome.company}
        known = {name: one for name, one in told.items() if one is not None}
        self._write({**line, "before": before, **known, "at": int(time.time())})
        if outcome.needs_a_look:
            self._hurry()

    def _hurry(self) -> None:
        self._noted += 1
        self._urgent = self._noted

    def note_effort(self, effort: ApplyCost) -> None:
        """Note what this try cost."""
        self._write({"effort": effort.as_json()})

    def _write(self, line: dict[str, Any]) -> None:
        self._lines.add(_as_line(line))


def _as_line(told: dict[str, Any]) -> str:
    # Plain ASCII: nothing that a portal may say, and no setting of a worker, can make it unwritable.
    return json.dumps(told, separators=(",", ":")) + "\n"


def has_begun(run_folder: Path, plan_hash: str) -> bool:
    """Whether a plan has been applied already, in part at least and not dry."""
    return any(
        line.get("plan") == plan_hash and line.get("dry_run") is False
        for path in _journal_parts(run_folder / "journal")
        for line in journal_lines(path)
        if "journal" in line
    )


def journal_folder(run_folder: Path, plan_hash: str) -> Path:
    """Give the folder of the journal of a plan, moving the journal of another plan aside.

    The journal holds what is needed to take an apply back, so none is ever overwritten.

    :raises RetryLater: The other plan is being applied now.
    """
    make_folder(run_folder)
    with turn_at(run_folder):  # the parts of one plan may be applied by tasks that begin together
        return _journal_folder(run_folder, plan_hash)


def _journal_folder(run_folder: Path, plan_hash: str) -> Path:
    folder, aside = run_folder / "journal", _aside(run_folder, plan_hash)
    parts = _journal_parts(folder)
    found = next((owner for path in parts if (owner := _header(path).get("plan"))), None)
    if found not in (None, plan_hash):
        for path in parts:
            refuse_if_applied(path, busy(path), str(found))
        _move(folder, _free(_aside(run_folder, str(found)), str(found)))
    elif found is None and aside.exists():
        # A run of another plan died before it wrote its first line: nothing is lost with its empty parts.
        for path in parts:
            path.unlink()
    if aside.exists() and not (found == plan_hash and is_on_disk(aside)):
        _move(aside, folder)
    make_folder(folder)
    return folder


def _move(folder: Path, target: Path) -> None:
    """Move a journal to where none lies."""
    if is_on_disk(folder):
        folder.rename(target)  # an empty folder in its place goes
        return
    for path in _journal_parts(folder):  # object storage has files alone, and folders in their names
        move_part(path, target / path.name)


def _aside(run_folder: Path, plan_hash: str) -> Path:
    return run_folder / f"journal-{plan_hash[:12]}"


def _free(path: Path, plan_hash: str) -> Path:
    """Give where the journal of a plan can be moved to; where such a move broke off it goes on."""
    number, name = 1, path.name
    while path.exists() and (is_on_disk(path) or not _is_of(path, plan_hash)):
        number += 1
        path = path.with_name(f"{name}-{number}")
    return path


def _is_of(folder: Path, plan_hash: str) -> bool:
    return all(_header(path).get("plan") == plan_hash for path in _journal_parts(folder))


def _journal_parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.jsonl"))


def _header(path: Path) -> dict[str, Any]:
    return next(journal_lines(path), {})


def read_effort(folder: Path, parts: Iterable[int] | None = None) -> ApplyCost:
    """Add up what all tries cost that a journal tells of.

    :param parts: Numbers of the parts to read; ``None`` for all.
    """
    return read_apply_costs(_paths(folder, parts))


def read_ledger(path: Path, kind: OwnerKind) -> Ledger:
    """Read what a journal part says so far; a missing one says nothing."""
    return ledger_of(journal_lines(path), kind)


def ledger_of(lines: Iterable[dict[str, Any]], kind: OwnerKind) -> Ledger:
    """Read what lines of a journal part say."""
    ledger, is_dry = Ledger(), False
    for line in lines:
        if "writing" in line:
            for owner_id, (rows, *scalar) in befores_told(line).items():
                ledger.owed.discard(owner_id)
                if links := links_kept(Owner(kind, owner_id), rows, *scalar):
                    ledger.writing[owner_id] = links
        elif "owing" in line:
            ledger.owed.update(line["owing"])
        elif "owner" in line:
            (ledger.take_dry if is_dry else ledger.take)(outcome_of(kind, line))
            ledger.noted[line["owner"]] = line.get("at", 0)
        elif "dry_run" in line:
            is_dry = bool(line["dry_run"])
            if not is_dry:
                ledger.forget_dry_run()
        else:
            ledger.take_comments(line)
    return ledger


def outcome_of(kind: OwnerKind, line: dict[str, Any]) -> ChangeOutcome:
    """Read the line of a journal that tells an outcome."""
    owner = Owner(kind, line["owner"])
    before = None if line["before"] is None else LinkSet.from_json(owner, line["before"], line.get("scalar"))
    return ChangeOutcome(owner, line["outcome"], line["reason"], before, line.get("company"))


def befores_told(line: dict[str, Any]) -> dict[int, list[Any]]:
    """Give what a line of a journal tells of links before a write, by owner id: rows, and the scalar contact.

    Of an outcome without such links the rows are ``None``.

    :raises ValueError: It is no such line; likewise ``TypeError`` and ``KeyError``.
    """
    if "writing" in line:
        return {int(owner_id): _rows_and_scalar(*told) for owner_id, *told in line["writing"]}
    if "owner" not in line:
        return {}
    return {int(line["owner"]): [line["before"], line.get("scalar")]}


def _rows_and_scalar(rows: Any, scalar: Any = None) -> list[Any]:
    return [rows, scalar]


def links_kept(owner: Owner, rows: Any, scalar: Any = None) -> LinkSet | None:
    """Read links that a journal kept; ``None`` where they are none that an owner can have."""
    try:
        links = LinkSet.from_json(owner, rows, scalar)
        for one in links.contact_ids:
            positive_id("contact", one)
    except (TypeError, ValueError):
        return None
    whole = isinstance(rows, list) and all(len(row) == _ROW for row in rows)
    return links if whole else None


def _as_row(links: LinkSet) -> list[Any]:
    scalar = [] if links.scalar_id is None else [links.scalar_id]
    return [links.owner.id, links.as_json(), *scalar]


def final_outcomes(
    folder: Path, kind: OwnerKind, parts: Iterable[int] | None = None
) -> Iterator[ChangeOutcome]:
    """Give the final outcome of every owner in a journal, part by part.

    :param parts: Numbers of the parts to read; ``None`` for all.
    """
    for path in _paths(folder, parts):
        yield from read_ledger(path, kind).last.values()


def _paths(folder: Path, parts: Iterable[int] | None) -> list[Path]:
    return _journal_parts(folder) if parts is None else [folder / part_name(number) for number in parts]


def write_failed(
    path: Path,
    outcomes: Iterable[ChangeOutcome],
    portal: str,
    names: Callable[[int], OwnerNames] | None = None,
) -> int:
    """Write ``failed.csv``: what failed, drifted or overwrote somebody's change, why, and where it is.

    :param names: Gives the names of an owner by its id, when it comes; ``None`` for a table without names.
    :return: Number of rows.
    """
    rows = 0
    with atomic_write(path) as file:
        writer = csv.writer(file)
        writer.writerow(["owner", "owner_id", "outcome", "reason", "address", *(COLUMNS if names else ())])
        for outcome in outcomes:
            if outcome.needs_a_look:
                owner = outcome.owner
                address = owner_address(portal, owner)
                told = [owner.kind, owner.id, outcome.outcome, as_cell(outcome.reason), address]
                writer.writerow([*told, *(cells(names(owner.id)) if names else ())])
                rows += 1
    return rows
