"""Plan files: a plan of any size is written a change at a time and read a part at a time.

A plan is a folder: parts of at most 1,000 changes, one a line, and a manifest with their digests and a hash
over the whole.
"""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.kind_words import named
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.link_writes import requests_of, unwritable, write_size
from airflow_bitrix.core.links import Owner, OwnerKind, entity_kind, owner_address
from airflow_bitrix.core.plan import Change
from airflow_bitrix.core.restores import Origin
from airflow_bitrix.core.rule_notes import RuleNote
from airflow_bitrix.files import FORMAT, another_format, part_name
from airflow_bitrix.files.atomic_writes import atomic_write
from airflow_bitrix.files.csv_cells import as_cell
from airflow_bitrix.files.damage import in_folder
from airflow_bitrix.files.earlier_runs import make_room
from airflow_bitrix.files.json_texts import json_value, read_json
from airflow_bitrix.files.leases import Lease
from airflow_bitrix.files.names import remove_names
from airflow_bitrix.files.object_files import listed, remove
from airflow_bitrix.files.own_files import make_folder, open_new
from airflow_bitrix.files.plain_files import read_plain
from airflow_bitrix.files.plan_locks import plan_held

PART_CHANGES = 1000
"""Changes in one part of a plan at most."""

MANIFEST, LEFT_OUT = "manifest.json", "left_out.csv"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a plan says of itself.

    :param kind: The kind of the owners that it is about, such as ``lead``.
    :param portal: Address of the portal it was made for.
    :param created: When it was made, ISO 8601 in UTC.
    :param rules: Names of the rules that made it.
    :param counts: ``read`` owners, those of them with ``hidden_links``, ``changes``, those of them that leave
        an owner ``emptied`` though no rule says so, those that change ``companies`` of owners, changes
        ``by_rule``, owners ``left_out`` by reason, and about how many ``requests`` an apply takes. Of a
        restore also what comes back, under ``restore``, see :func:`~airflow_bitrix.core.restores.recovery`.
    :param guards: Limits it must keep to.
    :param parts: Name, number of changes and SHA-256 of each part.
    :param run: The DAG run that made it, as people read it; empty where it is not known.
    :param task: The id of the task of that run which made it.
    :param origin: What a restore goes by; ``None`` for any other plan.
    :param partial: Why it may be about a part of the portal only, a sentence for each portal.
    :param rule_notes: What readers of the plan are told of each clean-up rule, whoever wrote it.
    :param pace: Requests a second that the portal admits, and how many more at first; ``None`` where it sets
        no bounds, or is not known.
    """

    kind: OwnerKind
    portal: str
    created: str
    rules: tuple[str, ...]
    counts: Mapping[str, Any]
    guards: Guards
    parts: tuple[Mapping[str, Any], ...] = ()
    run: str = ""
    task: str = ""
    origin: Origin | None = None
    partial: tuple[str, ...] = ()
    pace: tuple[float, float] | None = None
    rule_notes: tuple[RuleNote, ...] = ()

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
            **({"run": self.run} if self.run else {}),
            **({"task": self.task} if self.task else {}),
            **({"origin": asdict(self.origin)} if self.origin else {}),
            **({"partial": list(self.partial)} if self.partial else {}),
            **({"pace": list(self.pace)} if self.pace else {}),
            **({"rule_notes": [asdict(note) for note in self.rule_notes]} if self.rule_notes else {}),
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

    @property
    def broken_guards(self) -> list[str]:
        """A sentence for each guard that the plan breaks."""
        return self.guards.broken_by(portal=self.portal, counts={**self.counts, "changes": self.changes})


class _Counts(msgspec.Struct):
    """What the counts of a manifest hold."""

    read: int
    changes: int
    emptied: int
    hidden_links: int = 0
    by_rule: dict[str, int] = {}
    left_out: dict[str, int] = {}
    requests: int = 0
    companies: int = 0
    restore: dict[str, int] = {}


class _Guards(msgspec.Struct):
    """What :class:`Guards` does not look at itself."""

    population: int | None = None


class _Part(msgspec.Struct):
    """What a manifest tells of a part."""

    name: str
    changes: int
    sha256: str


class _Told(msgspec.Struct):
    """What a manifest holds: a right hash does not tell that it is of these types."""

    kind: str
    portal: str
    created: str
    rules: list[str]
    counts: _Counts
    guards: _Guards
    parts: list[_Part]
    run: str = ""
    task: str = ""
    origin: Origin | None = None
    partial: tuple[str, ...] = ()
    pace: tuple[float, float] | None = None
    rule_notes: tuple[RuleNote, ...] = ()


class PlanWriter:
    """Writes a plan: changes first, one after the other, then the manifest.

    :param folder: Where the plan goes. A plan that lies there already is replaced; one that was applied is
        moved aside with its journal, to ``earlier-<hash>`` beside it.
    :param left_out_on: Address of the portal that those are on who are left out; empty for no addresses.
    :param portal: Address of the portal that the changes are for; empty for no addresses.
    :raises RetryLater: The plan that lies there is being applied now.
    """

    def __init__(self, folder: Path, *, left_out_on: str = "", portal: str = "") -> None:
        self._folder = folder
        self._left_out_on, self._portal = left_out_on, portal
        self._parts: list[dict[str, Any]] = []
        self._open: IO[str] | None = None
        self._digest = hashlib.sha256()
        self._left_out: Counter[str] = Counter()
        self._by_rule: Counter[str] = Counter()
        self._recovery: Counter[str] = Counter()
        self._emptied = self._commands = self._companies = 0
        self._owners: set[int] = set()
        make_folder(folder)
        make_room(folder / MANIFEST)
        remove([folder / name for name in listed(folder) if fnmatch(name, "part-*.jsonl")])
        remove_names(folder.parent)  # those of the plan before, which may have been for another portal
        self._reasons = open_new(folder / LEFT_OUT, newline="")
        self._rows = csv.writer(self._reasons)
        self._rows.writerow(["owner", "owner_id", "why", "reason", "address"])

    def __enter__(self) -> Self:
        """Give the writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the files."""
        self._close_part()
        self._reasons.close()

    def add(self, change: Change) -> None:
        """Write one change; one that no apply could write is left out, and says why."""
        if change.owner.id in self._owners:
            said = gettext("two changes for {owner} in one plan", owner=named(change.owner))
            raise PlanRefused(said, owner=str(change.owner))
        self._owners.add(change.owner.id)
        group, why_not = unwritable(change)
        if group:
            self._leave(change.owner, group, why_not, self._portal)
            return
        self._by_rule.update(change.rules)
        self._emptied += change.empties and not change.may_empty
        self._commands += write_size(change)
        self._companies += change.company is not None
        if self._open is None or self._parts[-1]["changes"] == PART_CHANGES:
            self._close_part()
            self._parts.append({"name": part_name(len(self._parts)), "changes": 0})
            self._open = open_new(self._folder / self._parts[-1]["name"])
            self._digest = hashlib.sha256()
        line = json.dumps(change.as_json(), separators=(",", ":")) + "\n"
        self._open.write(line)
        self._digest.update(line.encode())
        self._parts[-1]["changes"] += 1

    def recover(self, counts: Counter[str]) -> None:
        """Count what a restore brings back of an owner, and what it cannot."""
        self._recovery.update(counts)

    def leave_out(self, owner: Owner, why: str, reason: str) -> None:
        """Note an owner that a rule is about but does not touch."""
        self._leave(owner, why, reason, self._left_out_on)

    def _leave(self, owner: Owner, why: str, reason: str, portal: str) -> None:
        self._left_out[why] += 1
        address = owner_address(portal, owner) if portal else ""
        self._rows.writerow([owner.kind, owner.id, as_cell(why), as_cell(reason), address])

    def finish(self, *, read: int, hidden_links: int = 0, **about: Any) -> Manifest:
        """Write the manifest, which makes the files a plan.

        :param read: Owners that were read for it.
        :param hidden_links: Owners whose links the portal left out of its lists; they were read one by one.
        :param about: The remaining fields of :class:`Manifest`.
        """
        self._close_part()
        changes = sum(int(part["changes"]) for part in self._parts)
        counts = {
            "read": read,
            "hidden_links": hidden_links,
            "changes": changes,
            "emptied": self._emptied,
            "by_rule": dict(sorted(self._by_rule.items())),
            "left_out": dict(sorted(self._left_out.items())),
            "requests": requests_of(changes, self._commands),
            **({"companies": self._companies} if self._companies else {}),
            **({"restore": dict(sorted(self._recovery.items()))} if self._recovery else {}),
        }
        manifest = Manifest(counts=counts, parts=tuple(self._parts), **about)
        body = {**manifest.as_json(), "hash": manifest.hash}
        with atomic_write(self._folder / MANIFEST) as file:  # a reader finds none, or all of it
            file.write(json.dumps(body, indent=1) + "\n")
        return manifest

    def _close_part(self) -> None:
        if self._open is not None:
            self._open.close()
            self._open = None
            self._parts[-1]["sha256"] = self._digest.hexdigest()


def read_manifest(folder: Path) -> Manifest:
    """Read a plan's manifest.

    :raises PlanRefused: There is no plan, it is of another format, or it was edited.
    """
    where = in_folder(folder)
    try:
        body = read_json(folder / MANIFEST)
        given = body.get("format")
    except FileNotFoundError:
        raise PlanRefused(gettext("there is no plan{where}", where=where)) from None
    except (AttributeError, ValueError):
        raise _damaged(folder) from None
    if given != FORMAT:
        raise PlanRefused(gettext("the plan{where} {why}", where=where, why=another_format(given)))
    try:
        told = msgspec.convert(body, _Told)
        manifest = Manifest(
            kind=entity_kind(body["kind"]),
            portal=body["portal"],
            created=body["created"],
            rules=tuple(body["rules"]),
            counts=body["counts"],
            guards=Guards.from_json(body["guards"]),
            parts=tuple(body["parts"]),
            run=told.run,
            task=told.task,
            origin=told.origin,
            partial=told.partial,
            pace=told.pace,
            rule_notes=told.rule_notes,
        )
        names = [part["name"] for part in manifest.parts]
        is_whole: bool = manifest.hash == body["hash"] and names == list(map(part_name, range(len(names))))
    except msgspec.ValidationError:
        raise _damaged(folder) from None
    except (KeyError, TypeError, ValueError, AttributeError):
        is_whole = False
    if not is_whole:
        said = gettext("the manifest of the plan{where} does not match its hash: it was edited", where=where)
        raise PlanRefused(said)
    if not manifest.portal.startswith(("https://", "http://")):  # pages make links of it
        raise PlanRefused(gettext("the plan{where} names no portal's address", where=where))
    return manifest


def _damaged(folder: Path) -> PlanRefused:
    where = in_folder(folder)
    return PlanRefused(gettext("the manifest of the plan{where} is damaged or was edited", where=where))


def check_parts(folder: Path, manifest: Manifest, parts: Iterable[int] | None = None) -> None:
    """Read parts of a plan and compare their digests, without keeping them.

    :param parts: Numbers of the parts; ``None`` for all.
    :raises PlanRefused: A part is missing, was edited or cut short.
    """
    for number in range(len(manifest.parts)) if parts is None else parts:
        read_part(folder, manifest, number)


def read_changes(folder: Path, manifest: Manifest, part: int) -> Iterator[Change]:
    """Give the changes of one part, one after the other.

    :raises PlanRefused: The part was edited since :func:`check_parts` looked, and then none of it is given;
        or a line of it is no change.
    """
    for number, line in enumerate(io.BytesIO(read_part(folder, manifest, part)), start=1):
        try:
            change = Change.from_json(manifest.kind, json_value(line))
        except (AttributeError, KeyError, TypeError, ValueError):
            about = {"name": manifest.parts[part]["name"], "where": in_folder(folder)}
            said = gettext(
                "line {number} of {name} of the plan{where} is no change", number=str(number), **about
            )
            raise PlanRefused(said) from None
        yield change


def read_part(folder: Path, manifest: Manifest, part: int) -> bytes:
    """Give the content of one part.

    :raises PlanRefused: The part was edited, or is gone.
    """
    name, where = manifest.parts[part]["name"], in_folder(folder)
    try:
        content: bytes = read_plain(folder / name)
    except FileNotFoundError:
        raise PlanRefused(gettext("{name} of the plan{where} is missing", name=name, where=where)) from None
    if hashlib.sha256(content).hexdigest() != manifest.parts[part]["sha256"]:
        edited = gettext(
            "{name} of the plan{where} does not match its hash: it was edited", name=name, where=where
        )
        raise PlanRefused(edited)
    return content


@contextmanager
def plan_lock(
    folder: Path,
    manifest: Manifest,
    parts: Sequence[int] | None = None,
    *,
    run: Path | None = None,
    who: str = "",
    writes: bool = True,
    mounts: Path | None = None,
) -> Iterator[list[Lease]]:
    """Hold a plan, so that no other task applies it meanwhile, wherever its journal lies.

    :param parts: Numbers of the parts to hold, while other tasks may hold others; ``None`` for the whole.
    :param run: The folder that the journal lies in; by default that of the plan's folder.
    :param who: The task that holds it, as people read it.
    :param writes: Whether it is to write to the portal.
    :param mounts: See :func:`~airflow_bitrix.files.file_systems.is_kept_by_kernel`.
    :return: What is to be checked before anything is written.
    :raises RetryLater: Another task holds the plan, or one of these parts; it says which.
    """
    how: dict[str, Any] = {"run": run, "who": who, "writes": writes, "mounts": mounts}
    with plan_held(folder, MANIFEST, manifest.hash, parts, **how) as leases:
        yield leases
