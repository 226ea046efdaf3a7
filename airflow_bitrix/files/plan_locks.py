"""Holding a plan, or parts of it, and the journal that its outcomes go to: one task at a time does.

Where a folder lies on a disk of this host, the kernel's locks on its files are all that is needed. Anywhere
else whoever applies a plan holds a lease beside it, and one where the journal lies, if that is elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files import part_name
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.file_systems import is_kept_by_kernel
from airflow_bitrix.files.holders import Holder, this_holder
from airflow_bitrix.files.json_texts import shaped
from airflow_bitrix.files.leases import Claim, Lease, in_turn, refuse_if_held
from airflow_bitrix.files.locks import TakenError, held, one_at_a_time
from airflow_bitrix.files.own_files import open_new
from airflow_bitrix.files.plain_files import read_plain
from airflow_bitrix.files.storage_errors import storing

TAKEN = "taken"
"""A file in a plan that an apply has begun with: its journal may lie anywhere. It says who that was."""

LEASES = "lease"
"""Folder of the leases, in the folder of a run."""


@contextmanager
def plan_held(
    plan: Path,
    anchor: str,
    plan_hash: str = "",
    parts: Sequence[int] | None = None,
    *,
    run: Path | None = None,
    who: str = "",
    writes: bool = True,
    mounts: Path | None = None,
) -> Iterator[list[Lease]]:
    """Hold a plan, so that no other task applies or replaces it meanwhile.

    :param plan: Folder of the plan.
    :param anchor: Name of the file in it that is locked where the kernel keeps locks.
    :param plan_hash: Hash of the plan; empty for whoever replaces it, whichever it is.
    :param parts: Numbers of the parts to hold, while other tasks may hold others; ``None`` for the whole.
    :param run: The folder that the journal lies in; by default that of the plan's folder.
    :param who: The task that holds it, as people read it.
    :param writes: Whether it is to write to the portal.
    :param mounts: See :func:`~airflow_bitrix.files.file_systems.is_kept_by_kernel`.
    :return: The leases to be checked before anything is written; none where the kernel keeps the lock.
    :raises RetryLater: Another task holds the plan, one of these parts, or the journal.
    """
    beside, run = plan.parent, run or plan.parent
    claim: dict[str, Any] = {"plan": plan_hash, "parts": None if parts is None else list(parts)}
    with ExitStack() as locks:
        leases, me = [], this_holder(who)
        if is_kept_by_kernel(plan, mounts):
            _hold(plan, anchor, parts, locks)
            if plan_hash and parts is None:
                with suppress(OSError):
                    (plan / TAKEN).unlink()
        for folder in dict.fromkeys((beside, run)):
            if is_kept_by_kernel(folder, mounts):
                continue
            here = {
                **claim,
                "folder": plan.name if folder == beside else None,
                "journal": folder == run,
            }
            lease = Lease(folder / LEASES, here, _Conflict(here), _busy(plan), me)
            leases.append(locks.enter_context(lease))
        if plan_hash:
            _tell(plan, _Taken(me, None if parts is None else list(parts), str(run), writes))
        yield leases


def _hold(plan: Path, anchor: str, parts: Sequence[int] | None, locks: ExitStack) -> None:
    """Take the kernel's locks.

    :raises RetryLater: Another task holds one; it is named where it told who it is.
    """
    try:
        locks.enter_context(held(plan / anchor, _busy(plan), shared=parts is not None))
        for number in parts or ():
            name = part_name(number)
            locks.enter_context(
                held(plan / name, gettext("another task applies {name} of {plan} now", name=name, plan=plan))
            )
    except TakenError as error:
        wanted = {*parts} if parts else None
        there = [one.holder.name for one in _told(plan) if one.is_at(wanted) and not one.holder.is_gone]
        raise RetryLater(f"{error}: {there[-1]}") if there else error from None


class _Taken(msgspec.Struct):
    """A line of the file that says who has applied a plan.

    :param parts: Numbers of the parts; ``None`` for all.
    :param run: The folder that the journal lies in; earlier versions did not tell.
    :param writes: Whether it was to write to the portal.
    """

    holder: Holder
    parts: list[int] | None = None
    run: str = ""
    writes: bool = True

    def is_at(self, parts: set[int] | None) -> bool:
        """Whether it is at one of these parts; ``None`` for all."""
        return parts is None or self.parts is None or not parts.isdisjoint(self.parts)


def _tell(plan: Path, taken: _Taken) -> None:
    """Say who is at a plan. Where this cannot be written, no other plan can be written either."""
    path, add = plan / TAKEN, is_on_disk(plan)
    with suppress(OSError, RetryLater), storing(path), open_new(path, add=add) as file:
        file.write(f"{msgspec.json.encode(taken).decode()}\n")


def _told(plan: Path) -> list[_Taken]:
    try:
        lines = read_plain(plan / TAKEN).splitlines()
        return [shaped(line, _Taken) for line in lines]
    except (OSError, ValueError):
        return []


def hosts_at(plan: Path, run: Path, parts: set[int]) -> list[str]:
    """Give the hosts on which parts of a plan were applied, other than dry, as far as that was told.

    :param run: The folder that the journal lies in.
    :param parts: Numbers of the parts; none for no hosts.
    """
    told = (one for one in _told(plan) if one.writes and one.run == str(run) and parts and one.is_at(parts))
    return [one.holder.host for one in told]


class _Conflict:
    """Whether somebody else's claim does not go with ours.

    :param mine: Ours: ``plan``, ``parts``, ``folder`` of the plan if it lies here, and whether the
        ``journal`` does.
    """

    def __init__(self, mine: Claim) -> None:
        self._mine = mine

    def __call__(self, other: Claim) -> bool:
        mine = self._mine
        if other.keys() < mine.keys():  # it cannot be read
            return True
        same_plan = mine["folder"] is not None and mine["folder"] == other["folder"]
        if not mine["plan"] or not other["plan"]:  # a plan is replaced, and a journal beside it goes with it
            return same_plan or bool(mine["journal"] and other["journal"])
        if mine["plan"] != other["plan"]:
            return same_plan or bool(mine["journal"] and other["journal"])
        return (
            mine["parts"] is None or other["parts"] is None or not {*mine["parts"]}.isdisjoint(other["parts"])
        )


def refuse_if_applied(
    journal_part: Path, busy: str, plan_hash: str = "", *, mounts: Path | None = None
) -> None:
    """Look whether an apply writes a part of a journal now.

    :param busy: What to say where one does.
    :param plan_hash: Hash of the plan whose journal it is; empty where that is not known.
    :raises RetryLater: One does.
    """
    if is_kept_by_kernel(journal_part.parent, mounts):
        with held(journal_part, busy):
            return

    def conflicts(other: Claim) -> bool:
        plan = other.get("plan")  # of whoever replaces a plan it is empty, and that may be the caller
        return bool(other.get("journal", True)) and (plan in (None, plan_hash) if plan_hash else plan != "")

    refuse_if_held(journal_part.parent.parent / LEASES, conflicts, busy)


@contextmanager
def turn_at(folder: Path, *, mounts: Path | None = None) -> Iterator[None]:
    """Wait until nobody else is at a folder, for the moment that a look at its files and a move take.

    :raises RetryLater: Somebody else stays there.
    """
    with one_at_a_time(folder) if is_kept_by_kernel(folder, mounts) else in_turn(folder / "turn"):
        yield


def _busy(plan: Path) -> str:
    return gettext("another task applies this plan now: {plan}", plan=plan)
