"""Names for people: read from the portal for what is shown, kept with the run, and never needed."""

from __future__ import annotations

import asyncio
import csv
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from itertools import chain, groupby, islice
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from airflow_bitrix.client.flow import Meter
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.compat import conf
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext, gettext_noop, ngettext
from airflow_bitrix.core.links import Owner, OwnerKind, is_entity_kind, owner_address
from airflow_bitrix.core.names import NAMELESS, Names, OwnerNames
from airflow_bitrix.core.numbers import whole_number
from airflow_bitrix.core.plan import Change, ChangeOutcome, companies_of
from airflow_bitrix.crm.names import NameReads, Unread
from airflow_bitrix.files import part_name
from airflow_bitrix.files.journals import read_ledger
from airflow_bitrix.files.named_tables import (
    OF_OWNERS,
    Row,
    check_table,
    owner_cells,
    rewriting,
    without_names,
)
from airflow_bitrix.files.names import remove_names, write_part_names
from airflow_bitrix.files.plans import LEFT_OUT, PART_CHANGES, Manifest, read_changes
from airflow_bitrix.report.differences import difference

if TYPE_CHECKING:
    from airflow_bitrix.hooks.bitrix24_async import Bitrix24AsyncHook

PATIENCE = 60.0
"""Seconds for which a question waits for names before it is put without them."""

AT_ONCE = 100_000
"""Owners and contacts whose names are held at a time; they take 40 requests."""

_ROWS = 1000
"""Rows of a table that are given names at a time."""

_SETTING = "[bitrix24] show_names"
_YES, _NO = ("true", "t", "1"), ("false", "f", "0")

_UNREAD: Mapping[Unread, str] = {
    "owners": gettext_noop("Titles could not be read, and ids stand in their place: {why}"),
    "contacts": gettext_noop("Names of contacts could not be read, and ids stand in their place: {why}"),
    "companies": gettext_noop("Names of companies could not be read, and ids stand in their place: {why}"),
    "stages": gettext_noop("Names of stages could not be read, and ids stand in their place: {why}"),
    "users": gettext_noop(
        "Names of responsible persons could not be read, and ids stand in their place: {why}"
    ),
}

log = logging.getLogger(__name__)


def shows_names() -> bool:
    """Whether names are shown: what ``[bitrix24] show_names`` says, as by default.

    :raises InvalidInput: It says neither yes nor no.
    """
    given = conf.get("bitrix24", "show_names", fallback="") or "True"
    if (told := given.strip().lower()) not in (*_YES, *_NO):
        raise InvalidInput(_SETTING, given, gettext("True or False"))
    return told in _YES


def read_shown(
    hook: Bitrix24AsyncHook,
    plan: Path,
    manifest: Manifest,
    shown: Mapping[int, Change],
    places: Mapping[int, int],
) -> Mapping[int, OwnerNames]:
    """Give the names of a few changes, by id of the owner, and keep them; none where that cannot be done.

    :param plan: The plan's folder.
    :param shown: The changes, by id of the owner.
    :param places: Their places in the plan, likewise.
    """
    linked = {owner_id: _linked(change) for owner_id, change in shown.items()}

    async def read() -> Names:
        settings = await hook.settings()
        if settings.portal != manifest.portal:
            portals = {"portal": manifest.portal, "other": settings.portal}
            accepted = gettext("a connection to {portal}, not to {other}", **portals)
            raise InvalidInput("bitrix24_conn_id", hook.bitrix24_conn_id, accepted)
        async with asyncio.timeout(PATIENCE), hook.portal() as portal:
            reads = NameReads(portal, manifest.kind)
            found = await reads.read(sorted(shown), *_all_of(linked.values()))
        _tell(reads.unread)
        return found

    told: dict[int, OwnerNames] = {}
    with doing_without_names():
        found = hook.stop.run(read())
        told = {owner_id: found.of(owner_id, *ids) for owner_id, ids in linked.items()}
        by_part: dict[int, list[int]] = defaultdict(list)
        for owner_id in shown:
            by_part[places[owner_id] // PART_CHANGES].append(owner_id)
        for number, owner_ids in by_part.items():
            write_part_names(plan.parent, number, ((one, told[one]) for one in owner_ids))
    return told


async def read_all(portal: AsyncPortal, plan: Path, manifest: Manifest, journal: Path, meter: Meter) -> None:
    """Read the names of all that the report of a run tells of, and keep them in the folder of the journal.

    Owners that were left out get names in the plan's ``left_out.csv``.

    :param plan: The plan's folder.
    :param journal: The journal's folder.
    :param meter: Counts the requests of ``portal``.
    """
    readers: dict[OwnerKind, NameReads] = {}
    records = 0
    with doing_without_names(), ExitStack() as files:
        for window in _windows(
            chain(_of_parts(plan, manifest, journal), _of_left_out(plan / LEFT_OUT, manifest, files))
        ):
            kind = window[0].kind
            reads = readers.setdefault(kind, NameReads(portal, kind))
            owner_ids = chain.from_iterable(one.owner_ids for one in window)
            found = await reads.read(
                owner_ids, *_all_of((one.contact_ids, one.company_ids) for one in window)
            )
            records += len(found.owners) + len(found.contacts) + len(found.companies)
            for one in window:
                one.take(found)
    for reads in readers.values():
        _tell(reads.unread)
    if readers:
        log.info(
            "%s",
            ngettext(
                "Names of {records} records were read in {count} request.",
                "Names of {records} records were read in {count} requests.",
                meter.requests,
                records=records,
            ),
        )


def forget_names(plan: Path, folder: Path) -> None:
    """Take away the names that an approval or an earlier check of a plan has kept.

    :param plan: The plan's folder.
    :param folder: The folder of its journal.
    """
    for one in (plan.parent, folder):
        remove_names(one)
    with suppress(csv.Error, ValueError, OSError):  # no table of ours
        without_names(plan / LEFT_OUT)


class _Wanted(NamedTuple):
    """Names that are wanted together, and what takes them."""

    kind: OwnerKind
    owner_ids: Sequence[int]
    contact_ids: Sequence[int]
    company_ids: Sequence[int]
    take: Callable[[Names], object]


def _windows(wanted: Iterable[_Wanted]) -> Iterator[list[_Wanted]]:
    """Give as many at a time, of one kind, as names are held of."""
    window: list[_Wanted] = []
    size = 0
    for one in wanted:
        if window and (size >= AT_ONCE or one.kind != window[0].kind):
            yield window
            window, size = [], 0
        window.append(one)
        size += len(one.owner_ids) + len(one.contact_ids) + len(one.company_ids)
    if window:
        yield window


def _of_parts(plan: Path, manifest: Manifest, journal: Path) -> Iterator[_Wanted]:
    for number in range(len(manifest.parts)):
        noted = read_ledger(journal / part_name(number), manifest.kind).last
        rows: dict[int, _Linked] = {}
        for change in read_changes(plan, manifest, number):
            outcome = noted.get(change.owner.id)
            rows[change.owner.id] = _linked(change, outcome)

        def take(names: Names, number: int = number, rows: Mapping[int, _Linked] = rows) -> None:
            if names.owners or names.contacts:
                told = ((owner_id, names.of(owner_id, *ids)) for owner_id, ids in rows.items())
                write_part_names(journal.parent, number, told)

        yield _Wanted(manifest.kind, tuple(rows), *_all_of(rows.values()), take)


def _of_left_out(path: Path, manifest: Manifest, files: ExitStack) -> Iterator[_Wanted]:
    """Give the rows of a table of who was left out, and write it anew with their names.

    It stays as it is where it cannot be read: people open it, too.

    :param files: Puts the new table in the place of the old one, when all names were taken.
    """
    try:
        check_table(path)
        own, rows, write = files.enter_context(rewriting(path, OF_OWNERS))
    except (csv.Error, ValueError, OSError) as error:
        log.debug("%s gets no names: %s", path, error)
        return
    while some := list(islice(rows, _ROWS)):
        told = ((row, _owner_of(dict(zip(own, row, strict=False)), manifest.portal)) for row in some)
        for kind, group in groupby(told, lambda one: one[1].kind if one[1] else manifest.kind):
            pairs = list(group)

            def take(names: Names, pairs: Sequence[tuple[Row, Owner | None]] = pairs) -> None:
                for row, owner in pairs:
                    write(row, owner_cells(names.of(owner.id) if owner else NAMELESS))

            yield _Wanted(kind, [owner.id for _, owner in pairs if owner], (), (), take)


def _owner_of(row: Mapping[str, str], portal: str) -> Owner | None:
    """Give the owner that a row is about; ``None`` for one of another portal."""
    number = whole_number(row.get("owner_id", ""))
    kind = row.get("owner", "")
    if (
        not is_entity_kind(kind)
        or not number
        or row.get("address") != owner_address(portal, Owner(kind, number))
    ):
        return None
    return Owner(kind, number)


_Linked = tuple[tuple[int, ...], tuple[int, ...]]
"""Ids of contacts and of companies."""


def _linked(change: Change, outcome: ChangeOutcome | None = None) -> _Linked:
    """Give the contacts and companies of a change that pages show: an owner may have thousands.

    :param outcome: What became of it, which may know what was there right before the write.
    """
    found = (outcome.before if outcome else None) or change.before
    contacts = tuple(piece.contact_id for piece in difference(found, change.after).pieces)
    return contacts, tuple(filter(None, companies_of(change, outcome) or ()))


def _all_of(linked: Iterable[tuple[Sequence[int], Sequence[int]]]) -> _Linked:
    """Give all of these contacts, and all of these companies, each once."""
    contacts: dict[int, None] = {}
    companies: dict[int, None] = {}
    for some, others in linked:
        contacts |= dict.fromkeys(some)
        companies |= dict.fromkeys(others)
    return tuple(contacts), tuple(companies)


@contextmanager
def doing_without_names() -> Iterator[None]:
    """Go on where names cannot be read or kept, and say so: nothing needs them."""
    try:
        yield
    except (Bitrix24Error, OSError) as error:
        why = as_plain_text(error) or gettext("the portal did not answer in time")
        log.warning("%s", gettext("Names could not be read, and ids stand alone: {why}", why=why))


def _tell(unread: Mapping[Unread, str]) -> None:
    for what, why in unread.items():
        log.warning("%s", gettext(_UNREAD[what], why=why))
