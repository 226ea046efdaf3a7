"""Changes as a table of Markdown: who it is about, what becomes of the contacts, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import kind_words, linked_words
from airflow_bitrix.core.languages import gettext, pgettext
from airflow_bitrix.core.links import card_address, owner_address
from airflow_bitrix.core.names import NAMELESS, OwnerNames
from airflow_bitrix.core.plan import Change, companies_of
from airflow_bitrix.files.plans import Manifest
from airflow_bitrix.report.differences import Piece, company_note, difference
from airflow_bitrix.report.markdown_cells import cell
from airflow_bitrix.report.names import about
from airflow_bitrix.report.summary import reason_of

CONTACTS = 5
"""Contacts that a row shows, those first of which something becomes; with them their addresses."""

WHY = 130
"""Signs of a reason."""

_NAME, _NOTE = 40, 90


def change_table(
    title: str, manifest: Manifest, changes: Sequence[Change], names: Mapping[int, OwnerNames]
) -> Iterator[str]:
    """Give a table of changes, a change a row.

    :param names: What owners and contacts are called, by id of the owner.
    """
    heads = (kind_words(manifest.kind)["kind"], linked_words(manifest.kind)["kinds"], gettext("reason"))
    yield from ("", f"### {title}", "", f"| {' | '.join(heads)} |", "|:---|:---|:---|")
    for change in changes:
        of_owner = names.get(change.owner.id, NAMELESS)
        why = cell(reason_of(change), WHY)
        yield f"| {_owner(manifest, change, of_owner)} | {_contacts(manifest, change, of_owner)} | {why} |"


def legend() -> str:
    """Say how contacts are shown; not by bold letters, as Airflow's page shows each link in these."""
    return gettext("~~Struck out~~ is removed, **+** is added, all else stays.")


def _owner(manifest: Manifest, change: Change, names: OwnerNames) -> str:
    told = _link(change.owner.id, names.title, owner_address(manifest.portal, change.owner))
    where = cell(about(names), 2 * _NAME)
    return f"{told} ({where})" if where else told


def _contacts(manifest: Manifest, change: Change, names: OwnerNames) -> str:
    found = difference(change.before, change.after)
    first = sorted(found.pieces, key=lambda piece: not (piece.mark or piece.primary in ("was", "now")))
    told = [_contact(manifest, piece, names) for piece in first[:CONTACTS]]
    if rest := len(change.before.links) + len(change.added_ids) - len(told):
        told.append(gettext("and {count} more", count=rest))
    told += [cell(note, _NOTE) for note in found.notes if len(found.pieces) <= CONTACTS]
    told = told or [pgettext("contacts", "none")]
    if companies := companies_of(change):
        told.append(cell(company_note(companies, names.companies), _NOTE))
    return ", ".join(told)


def _contact(manifest: Manifest, piece: Piece, names: OwnerNames) -> str:
    primary = pgettext("contact", "(primary)")
    told = _link(
        piece.contact_id,
        names.contacts.get(piece.contact_id, ""),
        card_address(manifest.portal, family_of(manifest.kind).linked, piece.contact_id),
    )
    told += {"": "", "is": f" {primary}", "was": f" ~~{primary}~~", "now": f" **{primary}**"}[piece.primary]
    return {"": told, "-": f"~~{told}~~", "+": f"**+** {told}"}[piece.mark]


def _link(record_id: int, name: str, address: str) -> str:
    shown = f"{record_id} {cell(name, _NAME)}" if name else str(record_id)
    return f"[{shown}]({address})"
