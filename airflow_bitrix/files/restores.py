"""What journals and snapshots hold of earlier links, read to be made again."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind
from airflow_bitrix.core.plan import Change, is_company
from airflow_bitrix.core.restores import BroughtBack, CompanyImage, Image, Origin, with_known_scalar
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import read_approval
from airflow_bitrix.files.earlier_runs import earlier_journals, journal_parts, may_have_written
from airflow_bitrix.files.journal_lines import journal_lines
from airflow_bitrix.files.journals import befores_told, links_kept
from airflow_bitrix.files.plan_locks import TAKEN, refuse_if_applied
from airflow_bitrix.files.plans import PART_CHANGES, Manifest, check_parts, read_changes, read_manifest
from airflow_bitrix.files.snapshots import Snapshot, read_snapshot
from airflow_bitrix.files.taken_back import TakenBack, read_taken_back

RIGHT_FOLDER = gettext_noop(
    "the tab Bitrix24 report of the run to take back shows its folder, under “Take this run back”"
)
"""Where people find what a restore wants."""


MOST_OWNERS, MOST_LINKS = 10 * PART_CHANGES, 2**19
"""What a part of a journal may tell of: all of it is kept while it is read."""


@dataclass(frozen=True, slots=True)
class SnapshotSource:
    """The images of a snapshot: every owner in it."""

    snapshot: Snapshot
    name: ClassVar[str] = "snapshot"

    @classmethod
    def of(cls, folder: Path) -> SnapshotSource:
        """Read what the snapshot in a folder says of itself.

        :raises PlanRefused: There is no whole snapshot.
        """
        return cls(read_snapshot(folder))

    @property
    def kind(self) -> OwnerKind:
        """The kind of its owners."""
        return self.snapshot.kind

    @property
    def portal(self) -> str:
        """Address of the portal that it is about."""
        return self.snapshot.portal

    @property
    def earlier(self) -> list[Path]:
        """Runs before it: a snapshot is no run."""
        return []

    @property
    def taken_back(self) -> list[TakenBack]:
        """Restores before this one: nobody counts those from a snapshot."""
        return []

    @property
    def origin(self) -> Origin:
        """What a plan tells of it."""
        return Origin(self.name, str(self.snapshot.folder), self.snapshot.created)

    def check(self) -> None:
        """Compare its lines with their digest."""
        self.snapshot.check()

    def images(self) -> Iterator[Image]:
        """Give the image of every owner."""
        source = gettext("the snapshot of {created}", created=shown_timestamp(self.snapshot.created))
        return (Image(links, source=source) for links in self.snapshot.link_sets())


@dataclass(frozen=True, slots=True)
class JournalSource:
    """The images of a journal: every owner that its apply wrote, or may have written.

    An owner counts by its image, whatever its last outcome is called: a change that failed may have been
    written all the same, and one that was applied may stand as drift after a second run. So does an owner
    whose write was begun by an apply that died.

    :param plan: Folder of the plan that was applied.
    :param manifest: What the plan says of itself.
    :param journal: Folder of the journal.
    :param place: Gives the folder that a text names.
    """

    plan: Path
    manifest: Manifest
    journal: Path
    place: Callable[[str], Path] = Path
    name: ClassVar[str] = "journal"

    @classmethod
    def of(
        cls, folder: Path, plan: Path | None = None, *, place: Callable[[str], Path] = Path
    ) -> JournalSource:
        """Find journal and plan.

        :param folder: The folder of a run, with ``plan`` and ``journal`` in it, or the journal itself.
        :param plan: Folder of the plan, where it does not lie beside the journal.
        :param place: Gives the folder that a text names.
        :raises PlanRefused: One of them is missing, or nothing was written.
        """
        journal = folder / "journal" if (folder / "journal").is_dir() else folder
        parts = journal_parts(journal)
        why_not = "" if parts else _not_applied(folder)
        if parts and _is_dry(journal):
            why_not = gettext("the run in {parent} was a dry run and wrote nothing", parent=journal.parent)
        if why_not or not parts:
            runs = ", ".join(map(str, _earlier(folder) or _earlier(folder.parent)))
            told = (
                gettext("those of earlier runs are kept, take them back one by one: {runs}", runs=runs)
                if runs
                else gettext(RIGHT_FOLDER)
            )
            problem = (
                gettext("there is nothing to take back: {why_not}", why_not=why_not)
                if why_not
                else gettext("there is no journal in {folder}", folder=folder)
            )
            raise PlanRefused(f"{problem}; {told}")
        plan = plan or journal.parent / "plan"
        return cls(plan, read_manifest(plan), journal, place)

    @property
    def kind(self) -> OwnerKind:
        """The kind of its owners."""
        return self.manifest.kind

    @property
    def portal(self) -> str:
        """Address of the portal that it is about."""
        return self.manifest.portal

    @property
    def earlier(self) -> list[Path]:
        """Runs before this one in its folder, the newest first; each is a source of its own."""
        return [path for path in _earlier(self.journal.parent) if path != self.journal]

    @property
    def taken_back(self) -> list[TakenBack]:
        """Restores that have taken it back before, the oldest first."""
        return read_taken_back(self.journal.parent, self.manifest.hash)

    @property
    def origin(self) -> Origin:
        """What a plan tells of it."""
        made = self.manifest
        return Origin(self.name, str(self.journal.parent), made.created, made.run, made.hash)

    def check(self) -> None:
        """Compare the plan with its digests, and read every line of the journal.

        :raises PlanRefused: One of them is damaged, or they do not belong together.
        :raises RetryLater: An apply writes the journal now: what it will have changed is not known yet.
        """
        check_parts(self.plan, self.manifest)
        for path in journal_parts(self.journal):
            refuse_if_applied(path, gettext("an apply writes {path} now", path=path), self.manifest.hash)
            self._read(path)

    def images(self) -> Iterator[Image]:
        """Give the image of every owner that was written, part by part."""
        source = gettext(
            "the journal of the plan of {created}", created=shown_timestamp(self.manifest.created)
        )
        restores = [_Restored(note, _changes_of(note, self.place)) for note in self.taken_back]
        for number, part in enumerate(self.manifest.parts):
            found, companies, begun, odd = self._read(self.journal / part["name"])
            for change in read_changes(self.plan, self.manifest, number):
                owner_id = change.owner.id
                brought = tuple(made for one in restores if (made := one.made_of(owner_id)))
                if owner_id in odd:
                    yield Image(change.before, source=source, unreadable=odd[owner_id])
                elif owner_id in found:
                    links = with_known_scalar(found[owner_id], change.before)
                    told = (
                        gettext("{source}, which broke off", source=source) if owner_id in begun else source
                    )
                    company = None
                    if change.company is not None:
                        was = companies.get(owner_id, change.company_before)
                        company = CompanyImage(was or 0, change.company)
                    yield Image(links, left=change.after, source=told, brought=brought, company=company)

    def _read(
        self, path: Path
    ) -> tuple[Mapping[int, LinkSet], Mapping[int, int], set[int], Mapping[int, str]]:
        """Give what was there before the write of each owner that a journal part tells of.

        What is told last counts: a run that goes on where another ended knows what that one did.

        :return: The images by owner id; the companies of those that were to get another one, as far as they
            are told; the ids of owners whose write was begun and never told about; and, by owner id, what is
            wrong with images that cannot be read.
        :raises PlanRefused: The part is damaged, or of another plan.
        """
        images: dict[int, LinkSet] = {}
        companies: dict[int, int] = {}
        begun: set[int] = set()
        odd: dict[int, str] = {}
        kept = 0
        for number, line in enumerate(journal_lines(path), start=1):
            if number == 1 and "journal" not in line:
                raise PlanRefused(gettext("{path} is no part of a journal", path=path))
            if "journal" in line and line.get("plan") != self.manifest.hash:
                raise PlanRefused(
                    gettext(
                        "the journal in {journal} is not that of the plan in {plan}",
                        journal=self.journal,
                        plan=self.plan,
                    )
                )
            try:
                told = befores_told(line)
            except (ArithmeticError, ValueError, TypeError, KeyError):
                raise PlanRefused(
                    gettext("line {number} of {path} is damaged", number=str(number), path=path)
                ) from None
            (begun.update if "writing" in line else begun.difference_update)(told)
            if is_company(company := line.get("company")):
                companies |= dict.fromkeys(told, company)
            if kept > MOST_LINKS or max(len(told), len(begun), len(images), len(odd)) > MOST_OWNERS:
                raise PlanRefused(
                    gettext("{path} tells of more owners or links than a part of a plan can have", path=path)
                )
            for owner_id, (rows, *scalar) in told.items():
                if rows is None:
                    continue
                links = links_kept(Owner(self.kind, owner_id), rows, *scalar)
                if links:
                    kept += len(links.links) - (len(images[owner_id].links) if owner_id in images else 0)
                    images[owner_id] = links
                    odd.pop(owner_id, None)
                else:
                    odd[owner_id] = gettext(
                        "line {number} of {path} cannot be read", number=str(number), path=path
                    )
        return images, companies, begun, odd


Source = SnapshotSource | JournalSource
"""Where images of earlier links come from."""


class _Restored:
    """What a restore made of owners that pass by, in the order in which its own plan has them.

    :param changes: The changes of its plan, which follow the order of the plan that it took back.
    """

    def __init__(self, note: TakenBack, changes: Iterator[Change]) -> None:
        self._by = note.name
        self._changes = changes
        self._next = next(changes, None)

    def made_of(self, owner_id: int) -> BroughtBack | None:
        """Give what it made of the next owner; ``None`` where it was not about that one."""
        found = self._next
        if found is None or found.owner.id != owner_id:
            return None
        self._next = next(self._changes, None)
        return BroughtBack(found.after, self._by)


def _changes_of(note: TakenBack, place: Callable[[str], Path]) -> Iterator[Change]:
    """Give the changes of a restore, as far as its plan is still there and the one that was applied."""
    try:
        plan = place(note.folder)
        manifest = read_manifest(plan)
        if manifest.hash == note.restore:
            for number in range(len(manifest.parts)):
                yield from read_changes(plan, manifest, number)
    except (OSError, ValueError, ImportError, PlanRefused):  # gone, or on a storage that is not known here
        return


def _is_dry(journal: Path) -> bool:
    """Whether a journal tells of dry runs alone; what is no journal is none of them."""
    firsts = [next(journal_lines(path), {}) for path in journal_parts(journal)]
    return all("journal" in first for first in firsts) and not may_have_written(journal)


def _not_applied(folder: Path) -> str:
    """Say why a run that has no journal wrote nothing; nothing where that is not certain.

    :param folder: The folder of the run, or that of its journal.
    """
    run = folder if (folder / "plan").exists() else folder.parent
    try:
        manifest = read_manifest(run / "plan")
    except PlanRefused:
        return ""
    what = gettext("the plan in {run}", run=run)
    approval = read_approval(run, manifest.hash)
    if approval and approval.answer == "rejected":
        return gettext(
            "{what} was rejected by {by}, {at}, and nothing was written",
            what=what,
            by=approval.by,
            at=shown_timestamp(approval.at),
        )
    if approval and approval.answer == "unanswered":
        return gettext(
            "nobody approved {what} until {at}, and nothing was written",
            what=what,
            at=shown_timestamp(approval.at),
        )
    if not manifest.changes:
        return gettext("{what} is empty, and nothing was written", what=what)
    return (
        ""
        if (run / "plan" / TAKEN).exists()
        else gettext("{what} was not applied, and nothing was written", what=what)
    )


def _earlier(run: Path) -> list[Path]:
    """Give the folders of earlier runs, the newest first; then journals whose plans lie elsewhere."""
    journals = list(earlier_journals(run))
    runs = [path.parent for path in journals if path.name == "journal"]
    return [*sorted(runs, key=_created, reverse=True), *(path for path in journals if path.name != "journal")]


def _created(run: Path) -> str:
    try:
        return read_manifest(run / "plan").created
    except PlanRefused:
        return ""
