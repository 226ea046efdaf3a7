"""Plan and journal files, streamed: a plan of any size is written and read a line at a time.

A plan is a folder: parts of at most 1,000 changes, one a line, and a manifest with their digests and a hash
over the whole. A journal has a part for each part of its plan; outcomes are appended as they happen, so that
what a crash leaves behind is what was done.

Folders may be :class:`pathlib.Path` or anything that behaves like it, as ``ObjectStoragePath`` does.
"""

from __future__ import annotations

import csv
import fcntl
import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Self

from airflow_bitrix.core.errors import PlanRefused, RetryLater
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind, owner_kind
from airflow_bitrix.core.plan import OUTCOMES, Change, ChangeOutcome

PART_CHANGES = 1000
"""Changes in one part of a plan at most."""

FORMAT = 1
"""Version of the files; another one is refused."""

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a plan says of itself.

    :param kind: Whether it is about leads or deals.
    :param portal: Address of the portal it was made for.
    :param created: When it was made, ISO 8601 in UTC.
    :param rules: Names of the rules that made it.
    :param counts: ``read`` owners, ``changes``, and owners ``left_out`` by reason.
    :param guards: Limits it must keep to.
    :param parts: Name, number of changes and SHA-256 of each part.
    """

    kind: OwnerKind
    portal: str
    created: str
    rules: tuple[str, ...]
    counts: Mapping[str, Any]
    guards: Guards
    parts: tuple[Mapping[str, Any], ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Give the manifest without its hash."""
        return {
            "format": FORMAT,
            "kind": self.kind,
            "portal": self.portal,
            "created": self.created,
            "rules": list(self.rules),
            "counts": dict(self.counts),
            "guards": self.guards.as_json(),
            "parts": [dict(part) for part in self.parts],
        }

    @property
    def hash(self) -> str:
        """SHA-256 over all that the plan holds."""
        text = json.dumps(self.as_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    @property
    def changes(self) -> int:
        """How many changes the plan holds."""
        return sum(int(part["changes"]) for part in self.parts)


class PlanWriter:
    """Writes a plan: changes first, one after the other, then the manifest.

    :param folder: Where the plan goes. A plan that lies there already is replaced.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._parts: list[dict[str, Any]] = []
        self._open: IO[str] | None = None
        self._digest = hashlib.sha256()
        self._left_out: Counter[str] = Counter()
        self._owners: set[int] = set()
        folder.mkdir(parents=True, exist_ok=True)
        # Without a manifest there is no plan: a run that dies now leaves none behind.
        (folder / MANIFEST).unlink(missing_ok=True)
        for old in folder.glob("part-*.jsonl"):
            old.unlink()
        self._reasons = (folder / "left_out.csv").open("w", newline="", encoding="utf-8")
        self._rows = csv.writer(self._reasons)
        self._rows.writerow(["owner_id", "why", "reason"])

    def __enter__(self) -> Self:
        """Give the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._close_part()
        self._reasons.close()

    def add(self, change: Change) -> None:
        """Write one change."""
        if change.owner.id in self._owners:
            raise PlanRefused(f"two changes for {change.owner} in one plan", owner=str(change.owner))
        self._owners.add(change.owner.id)
        if self._open is None or self._parts[-1]["changes"] == PART_CHANGES:
            self._close_part()
            self._parts.append({"name": part_name(len(self._parts)), "changes": 0})
            self._open = (self._folder / self._parts[-1]["name"]).open("w", encoding="utf-8")
            self._digest = hashlib.sha256()
        line = json.dumps(change.as_json(), separators=(",", ":")) + "\n"
        self._open.write(line)
        self._digest.update(line.encode())
        self._parts[-1]["changes"] += 1

    def leave_out(self, owner: Owner, why: str, reason: str) -> None:
        """Note an owner that a rule is about but does not touch."""
        self._left_out[why] += 1
        self._rows.writerow([owner.id, why, reason])

    def finish(self, *, read: int, **about: Any) -> Manifest:
        """Write the manifest, which makes the files a plan.

        :param read: Owners that were read for it.
        :param about: The remaining fields of :class:`Manifest`.
        """
        self._close_part()
        changes = sum(int(part["changes"]) for part in self._parts)
        counts = {"read": read, "changes": changes, "left_out": dict(sorted(self._left_out.items()))}
        manifest = Manifest(counts=counts, parts=tuple(self._parts), **about)
        body = {**manifest.as_json(), "hash": manifest.hash}
        (self._folder / MANIFEST).write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")
        return manifest

    def _close_part(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
            self._parts[-1]["sha256"] = self._digest.hexdigest()


def part_name(number: int) -> str:
    """Name of a part of a plan or a journal: ``part-00000.jsonl``."""
    return f"part-{number:05d}.jsonl"


def read_manifest(folder: Path) -> Manifest:
    """Read a plan's manifest.

    :raises PlanRefused: There is no plan, it is of another format, or it was edited.
    """
    try:
        body = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        given = body.get("format")
    except FileNotFoundError:
        raise PlanRefused(f"there is no plan in {folder}") from None
    except (AttributeError, ValueError, RecursionError):
        raise PlanRefused(f"the manifest of the plan in {folder} is damaged or was edited") from None
    if given != FORMAT:
        raise PlanRefused(f"the plan in {folder} has format {given!r}, this version reads {FORMAT}")
    try:
        manifest = Manifest(
            kind=owner_kind(body["kind"]),
            portal=body["portal"],
            created=body["created"],
            rules=tuple(body["rules"]),
            counts=body["counts"],
            guards=Guards(**body["guards"]),
            parts=tuple(body["parts"]),
        )
        is_whole = manifest.hash == body["hash"]
    except (KeyError, TypeError, ValueError, AttributeError):
        is_whole = False
    if not is_whole:
        raise PlanRefused(f"the manifest of the plan in {folder} does not match its hash: it was edited")
    return manifest


def check_parts(folder: Path, manifest: Manifest) -> None:
    """Read all parts of a plan and compare their digests, without keeping them.

    :raises PlanRefused: A part is missing, was edited or cut short.
    """
    for part in manifest.parts:
        digest = hashlib.sha256()
        try:
            with (folder / part["name"]).open("rb") as lines:
                for line in lines:
                    digest.update(line)
        except FileNotFoundError:
            raise PlanRefused(f"{part['name']} of the plan in {folder} is missing") from None
        if digest.hexdigest() != part["sha256"]:
            raise PlanRefused(
                f"{part['name']} of the plan in {folder} does not match its hash: it was edited"
            )


def read_changes(folder: Path, manifest: Manifest, part: int) -> Iterator[Change]:
    """Give the changes of one part, one after the other.

    :raises PlanRefused: The part was edited since :func:`check_parts` looked; none of it is given.
    """
    about = manifest.parts[part]
    try:
        content = (folder / about["name"]).read_bytes()
    except FileNotFoundError:
        content = b""
    if hashlib.sha256(content).hexdigest() != about["sha256"]:
        raise PlanRefused(f"{about['name']} of the plan in {folder} does not match its hash: it was edited")
    for line in content.splitlines():
        yield Change.from_json(manifest.kind, json.loads(line))


# -- journal -----------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Ledger:
    """What a journal part says so far.

    :param last: The last outcome of each owner, by id.
    :param writing: Ids of owners whose write was begun.
    """

    last: dict[int, ChangeOutcome] = field(default_factory=dict)
    writing: set[int] = field(default_factory=set)

    @property
    def applied(self) -> set[int]:
        """Ids of owners whose change is applied and confirmed."""
        return {owner_id for owner_id, outcome in self.last.items() if outcome.outcome == "applied"}


class JournalPart:
    """One part of a journal: appends outcomes, each safe on disk before the next request leaves.

    :param path: The file.
    :param plan_hash: Hash of the plan that is applied.
    :param dry_run: Whether the run only looks.
    :raises RetryLater: Another task writes this journal now: it applies the same plan.
    """

    def __init__(self, path: Path, *, plan_hash: str, dry_run: bool) -> None:
        exists = path.exists()
        self._file = path.open("a", encoding="utf-8")
        if isinstance(path, Path):
            self._lock(path)
        if exists:
            _drop_torn_line(path)
        if not exists or not _header(path):
            self._write([{"journal": FORMAT, "plan": plan_hash, "dry_run": dry_run}])

    def __enter__(self) -> Self:
        """Give the part itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self._file.close()

    def _lock(self, path: Path) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._file.close()
        except OSError:
            return  # a file system without locks: then nobody can tell
        if self._file.closed:
            raise RetryLater(f"another task applies this plan now: it writes {path}")

    def writing(self, changes: Sequence[Change]) -> None:
        """Note that these changes are about to be written, before the request leaves."""
        self._write([{"writing": [change.owner.id for change in changes]}])
        self._safe()

    def note(self, outcome: ChangeOutcome) -> None:
        """Note the outcome of one change."""
        before = outcome.before.as_json() if outcome.before else None
        line = {"owner": outcome.owner.id, "outcome": outcome.outcome, "reason": outcome.reason}
        self._write([{**line, "before": before}])

    def _write(self, lines: Iterable[dict[str, Any]]) -> None:
        for line in lines:
            # Plain ASCII: nothing that a portal may say, and no setting of a worker, can make it unwritable.
            self._file.write(json.dumps(line, separators=(",", ":")) + "\n")

    def _safe(self) -> None:
        self._file.flush()
        try:
            os.fsync(self._file.fileno())
        except OSError:
            # A file on object storage has no descriptor to sync; its flush is all there is.
            return


def _drop_torn_line(path: Path) -> None:
    """Cut off the line that a run was writing when it died; what it told is looked up again."""
    if not isinstance(path, Path):
        return  # object storage takes whole files only, so nothing can be torn
    with path.open("rb+") as file:
        whole = file.read().rfind(b"\n") + 1
        file.truncate(whole)


def journal_folder(run_folder: Path, plan_hash: str) -> Path:
    """Give the folder of the journal of a plan, moving the journal of another plan aside.

    The journal holds what is needed to take an apply back, so none is ever overwritten.
    """
    folder, aside = run_folder / "journal", _aside(run_folder, plan_hash)
    parts = _journal_parts(folder)
    found = next((owner for path in parts if (owner := _header(path).get("plan"))), None)
    if found not in (None, plan_hash):
        folder.rename(_free(_aside(run_folder, str(found))))
    elif found is None and folder.exists() and aside.exists():
        # A run of another plan died before it wrote its first line: nothing is lost with its empty parts.
        for path in parts:
            path.unlink()
        folder.rmdir()
    if not folder.exists() and aside.exists():
        aside.rename(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _aside(run_folder: Path, plan_hash: str) -> Path:
    return run_folder / f"journal-{plan_hash[:12]}"


def _free(path: Path) -> Path:
    number, name = 1, path.name
    while path.exists():
        number += 1
        path = path.with_name(f"{name}-{number}")
    return path


def _journal_parts(folder: Path) -> list[Path]:
    return sorted(folder.glob("part-*.jsonl")) if folder.exists() else []


def _header(path: Path) -> dict[str, Any]:
    with path.open(encoding="utf-8") as lines:
        return next(_json_lines(lines), {})


def _json_lines(lines: Iterable[str]) -> Iterator[dict[str, Any]]:
    for line in lines:
        if not line.endswith("\n"):
            return  # the last line of a run that died while it wrote
        yield json.loads(line)


def read_ledger(path: Path, kind: OwnerKind) -> Ledger:
    """Read what a journal part says so far; a missing one says nothing."""
    ledger = Ledger()
    if not path.exists():
        return ledger
    with path.open(encoding="utf-8") as lines:
        for line in _json_lines(lines):
            if "writing" in line:
                ledger.writing.update(line["writing"])
            elif "owner" in line:
                outcome = _outcome(kind, line)
                ledger.last[outcome.owner.id] = outcome
    return ledger


def _outcome(kind: OwnerKind, line: dict[str, Any]) -> ChangeOutcome:
    owner = Owner(kind, line["owner"])
    before = None if line["before"] is None else LinkSet.from_json(owner, line["before"])
    return ChangeOutcome(owner, line["outcome"], line["reason"], before)


def final_outcomes(folder: Path, kind: OwnerKind) -> Iterator[ChangeOutcome]:
    """Give the final outcome of every owner in a journal, part by part."""
    for path in _journal_parts(folder):
        yield from read_ledger(path, kind).last.values()


def count_outcomes(outcomes: Iterable[ChangeOutcome]) -> dict[str, int]:
    """Count outcomes by name; names that did not occur count 0."""
    counts = Counter(outcome.outcome for outcome in outcomes)
    return {name: counts[name] for name in OUTCOMES}


def write_failed(path: Path, outcomes: Iterable[ChangeOutcome], portal: str) -> int:
    """Write ``failed.csv``: what failed or drifted, why, and where to look at it.

    :return: Number of rows.
    """
    rows = 0
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["owner", "owner_id", "outcome", "reason", "address"])
        for outcome in outcomes:
            if outcome.outcome in ("failed", "drift"):
                owner = outcome.owner
                address = owner_address(portal, owner)
                writer.writerow([owner.kind, owner.id, outcome.outcome, _cell(outcome.reason), address])
                rows += 1
    return rows


def _cell(text: str) -> str:
    text = text.encode(errors="replace").decode()
    # A spreadsheet would carry out a cell that begins like a formula, and the portal's words are not ours.
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def owner_address(portal: str, owner: Owner) -> str:
    """Give the address of an owner's page on the portal."""
    return f"{portal}/crm/{owner.kind}/details/{owner.id}/"
