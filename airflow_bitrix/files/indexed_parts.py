"""One part of a plan beside its part of the journal: where each line lies, and what each change is."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.names import NAMELESS, OwnerNames
from airflow_bitrix.core.plan import OUTCOMES, Change, OutcomeName
from airflow_bitrix.files import part_name
from airflow_bitrix.files.apply_costs import EFFORT_LINES, NOTHING, ApplyCost, told_effort
from airflow_bitrix.files.apply_times import ApplyTimes
from airflow_bitrix.files.damage import DAMAGED, damaged, reading
from airflow_bitrix.files.journal_lines import raw_content, raw_lines
from airflow_bitrix.files.json_texts import json_value
from airflow_bitrix.files.names import (
    NAMES,
    line_at,
    lower_lines,
    names_content,
    names_in,
    places_of,
    text_in,
)
from airflow_bitrix.files.plans import Manifest, read_part
from airflow_bitrix.files.stamps import Stamp

STATES = (*OUTCOMES, "open")
"""What a change can be: an outcome, or open while it has none."""

BIGGEST = 10
"""How many of the biggest changes are named."""

APPLIED, DRIFT, OPEN = (STATES.index(name) for name in ("applied", "drift", "open"))
OVERWRITE = 16
"""Stands beside :data:`APPLIED` where the write took away what somebody had changed meanwhile."""

NOWHERE = 2**64 - 1
"""Place of a line that there is not."""


class _Planned(msgspec.Struct, gc=False):
    """What the index needs of a plan's line."""

    owner: int
    rules: list[str]
    before: list[Any]
    after: list[Any]


class _Noted(msgspec.Struct, gc=False):
    """What the index needs of a journal's line that tells an outcome, and what is read of it later."""

    owner: int
    outcome: OutcomeName
    reason: str
    before: list[Any] | None


class _Begun(msgspec.Struct):
    """What the index needs of a journal's line that begins a try."""

    plan: str
    dry_run: bool


_decode = msgspec.json.Decoder().decode  # it takes a fifth of the time that json takes
_decode_planned = msgspec.json.Decoder(_Planned).decode
_decode_noted = msgspec.json.Decoder(_Noted).decode
_decode_begun = msgspec.json.Decoder(_Begun).decode


@dataclass(slots=True)
class IndexedPart:
    """What a part holds, a number a change in each list, in the order of the plan.

    :param stamp: What it was made from.
    :param ids: Ids of the owners.
    :param planned_at: Where the change's line begins in the plan, in bytes.
    :param noted_at: Where its outcome's line begins in the journal; :data:`NOWHERE` for none.
    :param named_at: Where the line of its names begins in their file; :data:`NOWHERE` for none.
    :param states: Places in :data:`STATES`, with :data:`OVERWRITE` added where that is so.
    :param by_rule: Changes by name of rule and state.
    :param biggest: Size, and place below 0, of the changes that alter the most links.
    :param is_noted: Whether an apply of this plan began the journal.
    :param is_real: Whether one of its tries was no dry run.
    :param real: What its tries cost that were no dry runs.
    :param dry: What the others cost.
    :param is_cost_told: Whether all lines could be read that tell of costs; the others count without them.
    :param times: When outcomes were noted.
    """

    stamp: Stamp
    ids: array[int] = field(default_factory=lambda: array("q"))
    planned_at: array[int] = field(default_factory=lambda: array("Q"))
    noted_at: array[int] = field(default_factory=lambda: array("Q"))
    named_at: array[int] = field(default_factory=lambda: array("Q"))
    states: bytearray = field(default_factory=bytearray)
    by_rule: Counter[tuple[str, int]] = field(default_factory=Counter)
    biggest: list[tuple[int, int]] = field(default_factory=list)
    is_noted: bool = False
    is_real: bool = False
    real: ApplyCost = NOTHING
    dry: ApplyCost = NOTHING
    is_cost_told: bool = True
    times: ApplyTimes = field(default_factory=ApplyTimes)


def index_part(
    plan: Path, manifest: Manifest, number: int, *, journal: Path, since: Mapping[int, str], made_from: Stamp
) -> IndexedPart:
    """Index one part.

    :param number: Number of the part.
    :param journal: Folder of the journal.
    :param since: What a check found later of owners that were written, by id.
    :raises PlanRefused: The part was edited, or its journal is damaged.
    """
    found = IndexedPart(made_from)
    with reading(journal / part_name(number)):
        noted = _noted(journal / part_name(number), manifest.hash, found)
    named = places_of(names_content(plan.parent / NAMES / part_name(number)))
    with reading(plan / part_name(number)):
        _take_changes(found, read_part(plan, manifest, number), manifest, noted, since)
        found.named_at.extend(named.get(owner_id, NOWHERE) for owner_id in found.ids)
        if len(found.ids) != manifest.parts[number]["changes"]:
            raise damaged(plan / part_name(number))
    return found


def _take_changes(
    found: IndexedPart,
    content: bytes,
    manifest: Manifest,
    noted: Mapping[int, tuple[int, int]],
    since: Mapping[int, str],
) -> None:
    at, bar = 0, -1
    for place, raw in enumerate(content.splitlines(keepends=True)):
        line = _decode_planned(raw)
        owner = line.owner
        state, noted_at = noted.get(owner, (OPEN, NOWHERE))
        if (
            owner in since and noted_at != NOWHERE
        ):  # a check looks at what has an outcome, and at nothing else
            state = DRIFT
        found.ids.append(owner)
        found.planned_at.append(at)
        found.noted_at.append(noted_at)
        found.states.append(state)
        for rule in line.rules:
            found.by_rule[rule, state] += 1
        if len(line.before) + len(line.after) > bar:  # no value is made of what cannot be among them
            bar = _weigh(found.biggest, Change.from_json(manifest.kind, _decode(raw)).size, -place)
        at += len(raw)


def _noted(path: Path, plan_hash: str, found: IndexedPart) -> dict[int, tuple[int, int]]:
    """Give state and place of the last outcome of each owner, by id; nothing for another plan's journal."""
    noted: dict[int, tuple[int, int]] = {}
    numbers = {name: number for number, name in enumerate(STATES)}
    skipped = numbers["skipped"]
    at, is_dry, real = 0, False, list[bytes]()
    for raw in raw_lines(path):
        if not raw.endswith(b"\n"):
            break  # it is being written now
        if raw.startswith(b'{"owner":'):
            line = _decode_noted(raw)
            state = numbers[line.outcome]
            is_overwrite = state == APPLIED and line.reason
            # A dry run says nothing of an owner that a real run told about.
            if is_dry and state == skipped and noted.get(line.owner, (skipped, 0))[0] != skipped:
                at += len(raw)
                continue
            if not is_dry:
                real.append(raw)
            noted[line.owner] = (state | OVERWRITE if is_overwrite else state, at)
        elif raw.startswith(b'{"journal":'):
            begun = _decode_begun(raw)
            if begun.plan != plan_hash:
                return {}
            found.is_noted = True
            is_dry = begun.dry_run
            if not is_dry:
                found.is_real = True
                noted = {owner: one for owner, one in noted.items() if one[0] != skipped}
        elif raw.startswith(EFFORT_LINES):
            _take_cost(found, raw, is_dry=is_dry)
        at += len(raw)
    found.times.take(real)
    return noted


def _take_cost(found: IndexedPart, line: bytes, *, is_dry: bool) -> None:
    try:
        cost = told_effort(json_value(line))
        if is_dry:
            found.dry += cost
        else:
            found.real += cost
    except DAMAGED:
        found.is_cost_told = False


def _weigh(biggest: list[tuple[int, int]], size: int, place: int) -> int:
    """Put a change among the biggest, if it is one, and give the size that the next one has to exceed."""
    if len(biggest) < BIGGEST:
        heapq.heappush(biggest, (size, place))
    else:
        heapq.heappushpop(biggest, (size, place))
    return biggest[0][0] if len(biggest) == BIGGEST else -1


class PartLines:
    """The lines of one part, read again.

    :param plan: Folder of the plan.
    :param number: Number of the part.
    :param journal: The file of the journal's part; ``None`` where there is none of this plan.
    :param names: The file of its names; ``None`` where they are not wanted, or there are none.
    :param told: Lines that have been read, by their beginning and file; other files are read whole.
    :raises PlanRefused: The plan was edited since, or a file cannot be read.
    """

    def __init__(
        self,
        plan: Path,
        manifest: Manifest,
        number: int,
        journal: Path | None,
        *,
        names: Path | None,
        told: Mapping[Path, Mapping[int, bytes]],
    ) -> None:
        self._plan, self._journal, self._names = plan / part_name(number), journal, names
        self._told = told
        with reading(self._plan):
            self._planned = b"" if self._plan in told else read_part(plan, manifest, number)
            self._noted = b"" if journal is None or journal in told else raw_content(journal)
        self._named = b"" if names is None or names in told else names_content(names)
        self._lower: _Lower | None = None
        self._may_hold = True

    def both(self, planned_at: int, noted_at: int) -> tuple[dict[str, Any], dict[str, Any] | None]:
        """Give the lines of a change and of its outcome, ``None`` where it has none.

        :param planned_at: Where the change's line begins, in bytes.
        :param noted_at: Where its outcome's line begins; :data:`NOWHERE` for none.
        """
        try:
            planned: dict[str, Any] = _decode(self._line(self._plan, self._planned, planned_at))
            if noted_at == NOWHERE or self._journal is None:
                return planned, None
            noted: dict[str, Any] = _decode(self._line(self._journal, self._noted, noted_at))
            is_one = planned["owner"] == noted["owner"]
        except DAMAGED as error:
            raise self.refusal() from error
        if not is_one:
            raise self.refusal()
        return planned, noted

    def names(self, named_at: int, owner_id: int) -> OwnerNames:
        """Give the names of an owner and its contacts; nameless where there are none, or they are damaged.

        :param named_at: Where their line begins; :data:`NOWHERE` for none.
        """
        if self._names is None or named_at == NOWHERE:
            return NAMELESS
        return names_in(self._line(self._names, self._named, named_at), owner_id)

    def _line(self, path: Path, content: bytes, at: int) -> bytes:
        told = self._told.get(path)
        return line_at(content, at) if told is None else told[at]

    def refusal(self) -> PlanRefused:
        """Say that a line is not as it was; what the plan's file holds has been compared with its hash."""
        return damaged(self._journal or self._plan)

    def names_text(self, named_at: int, owner_id: int) -> str:
        """Give all that :meth:`names` would, as one text to be searched, as it stands in the file."""
        if self._names is None or named_at == NOWHERE:
            return ""
        return text_in(self._line(self._names, self._named, named_at), owner_id)

    def may_hold(self, hints: Sequence[bytes], planned_at: int, noted_at: int, named_at: int) -> bool:
        """Whether all of these stand in the lines of a change, in lower case or upper."""
        if not hints:
            return True
        if self._lower is None:
            self._lower = _Lower(self._planned.lower(), self._noted.lower(), lower_lines(self._named))
            self._may_hold = all(self._lower.holds(hint) for hint in hints)
        if not self._may_hold:
            return False
        planned = line_at(self._lower.planned, planned_at)
        noted = b"" if noted_at == NOWHERE else line_at(self._lower.noted, noted_at)
        named = self._lower.named.get(named_at, b"")
        return all(hint in named or _stands(hint, planned, noted) for hint in hints)


class _Lower(NamedTuple):
    """What the files of a part hold, in lower case; of names each line, by its place."""

    planned: bytes
    noted: bytes
    named: Mapping[int, bytes]

    def holds(self, hint: bytes) -> bool:
        """Whether it may stand in one of them."""
        return _stands(hint, self.planned, self.noted) or any(hint in line for line in self.named.values())


def _stands(hint: bytes, planned: bytes, noted: bytes) -> bool:
    """Whether a word may stand in plan or journal: what is not ASCII has other signs in its place there."""
    sought = hint if hint.isascii() else b"\\u"
    return sought in planned or sought in noted
