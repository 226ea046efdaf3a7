"""One run at a time writes owners of a kind on a portal: who that is, and who waits for whom.

A run counts as writing for as long as one of its tasks holds the lock of a file, which the kernel drops with
the process that holds it. Tasks of one run hold it together. The file says whose lock it is.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

import msgspec

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.approvals import named_run, shown_run
from airflow_bitrix.files.file_systems import is_kept_by_kernel
from airflow_bitrix.files.holders import this_holder
from airflow_bitrix.files.json_texts import read_as
from airflow_bitrix.files.leases import Claim, HeldError, Lease
from airflow_bitrix.files.locks import TakenError, one_at_a_time, take
from airflow_bitrix.files.own_files import make_folder, open_new, write_new

WAIT = "wait.json"


@dataclass(frozen=True, slots=True)
class Writer:
    """A run that writes.

    :param dag_id: Its DAG; empty outside of Airflow.
    :param run_id: Its run; outside of Airflow the plan that it applies.
    :param since: When it began to write, ISO 8601.
    """

    dag_id: str
    run_id: str
    since: str

    @property
    def name(self) -> str:
        """How people find it: ``run manual__2026… of the DAG bitrix24_lead_link_cleanup``."""
        return shown_run(named_run(self.dag_id, self.run_id)) if self.dag_id else self.run_id

    def is_run_of(self, other: Writer) -> bool:
        """Whether both are tasks of one run."""
        return (self.dag_id, self.run_id) == (other.dag_id, other.run_id)


class Occupied(RetryLater):
    """Another run writes owners of that kind on the portal.

    :param writer: That run.
    """

    def __init__(self, writer: Writer, kind: OwnerKind, portal: str) -> None:
        since = shown_timestamp(writer.since)
        super().__init__(
            gettext(
                "{writer} has been writing {kinds} on {portal} since {since}, and one run at a time does",
                writer=writer.name,
                portal=portal,
                since=since,
                **kind_words(kind),
            )
        )
        self.writer = writer


def writer_file(folder: Path, portal: str, kind: OwnerKind) -> Path:
    """Give the file whose lock those hold who write: ``writing-lead.acme.bitrix24.com.1f0c7a2e.json``.

    :param portal: The portal's address, which holds no secret.
    """
    address = portal.lower()
    readable = re.sub(r"[^\w.-]", "_", address.partition("://")[2] or address)
    digest = hashlib.sha256(address.encode()).hexdigest()[:8]
    return folder / f"writing-{kind}.{readable}.{digest}.json"


@contextmanager
def only_writer(
    folder: Path, portal: str, kind: OwnerKind, me: Writer, *, who: str = "", mounts: Path | None = None
) -> Iterator[list[Lease]]:
    """Be the run that writes, alone or with other tasks of it, for as long as the context lasts.

    :param folder: Where all those keep the file who may write; it is made where it is missing.
    :param who: The task, as people read it.
    :param mounts: See :func:`~airflow_bitrix.files.file_systems.is_kept_by_kernel`.
    :return: What is to be checked before anything is written; nothing where the kernel keeps the lock.
    :raises Occupied: Another run writes.
    :raises RetryLater: Whether one does cannot be told: the file cannot be locked, or the storage is away.
    :raises OSError: The file cannot be made or opened.
    """
    make_folder(folder)
    path = writer_file(folder, portal, kind)
    if not is_kept_by_kernel(folder, mounts):
        with _leased(path.with_suffix(""), portal, kind, me, who) as lease:
            yield [lease]
        return
    with open_new(path, add=True) as file:
        with one_at_a_time(folder):
            told = _told(path)
            try:
                take(file, path, "")
            except TakenError:
                if not (told and told.is_run_of(me)):
                    raise Occupied(
                        told or Writer("", gettext("another run"), me.since), kind, portal
                    ) from None
            else:
                _tell(file, told if told and told.is_run_of(me) else me)
            take(file, path, "", shared=True)
        yield []


@contextmanager
def _leased(folder: Path, portal: str, kind: OwnerKind, me: Writer, who: str) -> Iterator[Lease]:
    def is_another(claim: Claim) -> bool:
        told = _writer(claim)
        return not (told and told.is_run_of(me))

    with ExitStack() as held:
        try:
            lease = held.enter_context(
                Lease(folder, asdict(me), is_another, gettext("it writes"), this_holder(who))
            )
        except HeldError as error:
            told = _writer(error.claim) or Writer("", gettext("another run"), me.since)
            raise Occupied(told, kind, portal) from None
        yield lease


def _writer(claim: Claim) -> Writer | None:
    try:
        return msgspec.convert(dict(claim), Writer)
    except msgspec.ValidationError:
        return None


def _told(path: Path) -> Writer | None:
    """Read who wrote last; ``None`` where nobody did, or the file is damaged."""
    try:
        return read_as(path, Writer)
    except ValueError:
        return None


def _tell(file: IO[str], writer: Writer) -> None:
    file.truncate(0)
    file.write(json.dumps(asdict(writer)) + "\n")
    file.flush()


@dataclass(frozen=True, slots=True)
class Wait:
    """What the report is told of a run that waits for another one.

    :param plan: Hash of the plan that is to be applied.
    :param writer: Name of the run that it waits for.
    :param writes_since: Since when that one writes, ISO 8601.
    :param since: Since when it is waited for, ISO 8601.
    :param until: Until when at most, ISO 8601.
    """

    plan: str
    writer: str
    writes_since: str
    since: str
    until: str


def write_wait(folder: Path, wait: Wait) -> None:
    """Write it into the folder that holds ``journal/``."""
    write_new(folder / WAIT, json.dumps(asdict(wait)) + "\n")


def forget_wait(folder: Path) -> None:
    """Take it away."""
    with suppress(FileNotFoundError):
        (folder / WAIT).unlink()


def read_wait(folder: Path, plan_hash: str) -> Wait | None:
    """Read whom the apply of a plan waits for; ``None`` where it does not."""
    try:
        wait = read_as(folder / WAIT, Wait)
    except (OSError, ValueError):  # half written, or another version's
        return None
    return wait if wait.plan == plan_hash else None
