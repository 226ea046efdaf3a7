"""What an apply sends for a change, and the link sets that the portal can be brought to by it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_bitrix.core import methods
from airflow_bitrix.core.families import LinkedKind, family_of
from airflow_bitrix.core.kind_words import owners
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import ContactLink, LinkSet
from airflow_bitrix.core.numbers import LARGEST

if TYPE_CHECKING:
    from airflow_bitrix.core.plan import Change

STEP = 10
"""What the portal leaves between two sorts that it gives itself."""

MOST_LINKS = 299
"""Links that one ``items.set`` of an apply holds: PHP drops what goes beyond its thousand values."""

MOST_SHARED = 40
"""Links of a company that a change adds or takes away: each is a command, and one request carries them."""

SAVE = "crm.item.update"
"""What writes the links of owners that have no link methods."""

Command = tuple[str, dict[str, Any]]


def attainable(before: LinkSet, wanted: LinkSet) -> LinkSet:
    """Give the link set nearest to the wanted one that a single ``items.set`` can turn *before* into.

    The portal makes one link primary, gives sorts of its own in place of 0 and below, and looks at the
    owner's scalar contact only when a link changes. Order and primary always stay as wanted.
    """
    if not wanted.links:
        return LinkSet(wanted.owner)
    family = family_of(wanted.owner.kind)
    if family.is_shared:
        return _as_shared(before, wanted)
    primary = wanted.shown_id if wanted.shown_id in wanted.contact_ids else wanted.primary_id
    first = primary or wanted.links[0].contact_id
    if family.is_saved:  # the portal makes the first one primary, and numbers them itself
        rest = (one for one in wanted.contact_ids if one != first)
        return LinkSet.of_ids(wanted.owner, (first, *rest), first)
    keeps_sorts = all(link.sort is not None and link.sort > 0 for link in wanted.links)
    links = [
        replace(
            link,
            sort=link.sort if keeps_sorts else STEP * place,
            is_primary=link.contact_id == first,
            role_id=link.role_id or 0,
        )
        for place, link in enumerate(wanted.links, start=1)
    ]
    if keeps_sorts:
        links.sort(key=lambda link: link.sort or 0)
    while _keeps_flags(before, links, first):
        links = [replace(link, sort=(link.sort or 0) + STEP) for link in links]
    after = LinkSet(wanted.owner, tuple(links))
    if before.scalar_id is not None and _set(before, after).scalar_id is not None:
        # Only a change of a link makes the portal look at the scalar: the last one moves back a step.
        last = links[-1]
        links[-1] = replace(last, sort=(last.sort or 0) + STEP)
    return LinkSet(wanted.owner, tuple(links))


def _as_shared(before: LinkSet, wanted: LinkSet) -> LinkSet:
    """Give wanted links of a company: what stays is not touched, as its sorts and flags are shared."""
    stays = [link for link in before.links if link.contact_id in wanted.contact_ids]
    new = [link for link in wanted.links if link.contact_id not in before.contact_ids]
    links = [*stays, *(replace(link, is_primary=False) for link in new)]
    if all(link.sort is not None for link in links):
        links.sort(key=lambda link: link.sort or 0)
    return LinkSet(wanted.owner, tuple(links))


def _keeps_flags(before: LinkSet, links: Sequence[ContactLink], primary: int) -> bool:
    """Whether the portal would leave flags where several were primary: it knows of the last one only.

    Of the others it takes the flag with a change of their sort alone.
    """
    stored = {link.contact_id: link.sort for link in [link for link in before.links if link.is_primary][:-1]}
    return any(stored.get(link.contact_id) == link.sort and link.contact_id != primary for link in links)


def write_commands(change: Change) -> list[Command]:
    """Give the fewest commands that turn *before* into *after*; none where they are the same."""
    before, after, owner = change.before, change.after, change.owner
    if before.agrees_with(after):
        return []
    family = family_of(owner.kind)
    if family.is_saved:
        fields = {family.several: list(after.contact_ids)}
        return [(SAVE, {"entityTypeId": family.entity_type_id, "id": owner.id, "fields": fields})]
    if not after.links:
        return [(methods.name(owner.kind, "items.delete"), methods.items_delete(owner.id))]
    if family.is_shared:
        return [*_shared_adds(before, after), *_shared_deletes(before, after)]
    return [_link_command(before, after)]


def next_commands(change: Change, known: LinkSet) -> list[Command]:
    """Give what is to be sent of a change now.

    A company gets its new contacts first, and loses the old ones in a request of its own, once the new ones
    are there: each is added by the contact's rights, and a refusal would leave the company with neither.

    :param known: The links as they are.
    """
    commands = write_commands(change)
    new = change.after.contact_ids if family_of(change.owner.kind).is_shared else ()
    if not commands or set(new) <= set(known.contact_ids):
        return commands
    return [*_shared_adds(known, change.after)]


def _link_command(before: LinkSet, after: LinkSet) -> Command:
    """Give the one link method that does it: a delete or an add where that does, else ``items.set``."""
    owner, family = after.owner, family_of(after.owner.kind)
    gone = [link.contact_id for link in before.links if link.contact_id not in after.contact_ids]
    flags = sum(link.is_primary for link in before.links)
    if len(gone) == 1 and flags <= 1 and _without(before, gone[0]).agrees_with(after):
        return methods.name(owner.kind, "delete"), methods.delete(owner.id, gone[0], family.linked)
    new = [link for link in after.links if link.contact_id not in before.contact_ids]
    if len(new) == 1 and (added := _added(before, new[0])) and added.agrees_with(after):
        # The portal chooses the sort that is wanted anyway where it is not said.
        payload = methods.add(owner.id, new[0].contact_id, new[0].sort, linked=family.linked)
        return methods.name(owner.kind, "add"), payload
    # items.set numbers rows without a sort above 0 by their place, so either all carry one or none does.
    with_sort = all(link.sort for link in after.links)
    rows = [_row(link, family.key, with_sort=with_sort) for link in after.links]
    return methods.name(owner.kind, "items.set"), methods.items_set(owner.id, rows, family.linked)


def _shared_adds(before: LinkSet, after: LinkSet) -> Iterator[Command]:
    # From the contact's side: bound from the company's, a contact would get this company as its primary one.
    company = after.owner.id
    for link in after.links:
        if link.contact_id not in before.contact_ids:
            sort = link.sort if link.sort and link.sort > 0 else None
            yield (
                methods.name("contact", "add"),
                methods.add(link.contact_id, company, sort, linked="company"),
            )


def _shared_deletes(before: LinkSet, after: LinkSet) -> Iterator[Command]:
    # From the company's side: a contact that is gone has none.
    for one in before.contact_ids:
        if one not in after.contact_ids:
            yield methods.name(after.owner.kind, "delete"), methods.delete(after.owner.id, one)


def write_size(change: Change) -> int:
    """Give the commands that a change takes in requests that write, one that reads its links among them."""
    return len(write_commands(change)) + change.save + change.wants_exact + 1


def requests_of(changes: int, commands: int) -> int:
    """Give about how many requests an apply takes where nothing has to be repeated.

    A request that writes holds 48 commands and two looks; before them all are looked at, 2,500 a request, and
    so does the check behind them.
    """
    return -(-commands // 48) + 2 * -(-changes // 2500)


_TOO_MANY: Mapping[LinkedKind, str] = {
    "contact": gettext_noop("too many contacts"),
    "company": gettext_noop("too many companies"),
}


def unwritable(change: Change) -> tuple[str, str]:
    """Say why no apply can write a change, as a group and in words; nothing where one can."""
    links = change.after.links
    # Also where one command would empty it: the way back is one for each.
    changed = len({*change.before.contact_ids} ^ {*change.after.contact_ids})
    if changed > MOST_SHARED and family_of(change.owner.kind).is_shared:
        return _TOO_MANY["contact"], gettext(
            "{changed} contacts are to join or to leave one company, and {most} fit in a request",
            changed=changed,
            most=MOST_SHARED,
        )
    numbers = (change.owner.id, *(number for link in links for number in (link.contact_id, link.sort or 0)))
    if max(numbers) > LARGEST:
        return gettext_noop("numbers too large"), gettext(
            "no id and no sort of the portal is larger than {largest}", largest=str(LARGEST)
        )
    if len(links) <= MOST_LINKS or not replaces(change):
        return "", ""
    why = gettext(
        "{linked} are to be linked, and a request that replaces them holds {most} at most",
        linked=owners(family_of(change.owner.kind).linked, len(links)),
        most=MOST_LINKS,
    )
    return _TOO_MANY[family_of(change.owner.kind).linked], why


def replaces(change: Change) -> bool:
    """Whether a change is written by ``items.set``, which replaces all links."""
    return any(method.endswith(".items.set") for method, _ in write_commands(change))


def save_command(change: Change) -> Command:
    """Give the command that saves the owner, so that the portal recalculates its repeat flag.

    A save needs a field. ``CONTACT_ID`` is the one that cannot undo somebody else's work here: the portal
    leaves the links as they are where they hold the contact named, and 0 says that there are none. A company
    is a field, too, and changes no link; where the save is to end a repeat lead, both go with one save.
    """
    owner = change.owner
    fields = {} if change.company is None else {"COMPANY_ID": change.company}
    if change.ends_repeat or not fields:
        # Where links stay, any of them will do; 0 would unlink them all.
        fields["CONTACT_ID"] = change.after.primary_id or next(iter(change.after.contact_ids), 0)
    return f"crm.{owner.kind}.update", {"id": owner.id, "fields": fields}


def _without(before: LinkSet, contact_id: int) -> LinkSet:
    # What the portal makes of a delete: where no primary remains, the first that does takes its place.
    rest = [link for link in before.links if link.contact_id != contact_id]
    gone = next(link for link in before.links if link.contact_id == contact_id)
    if rest and gone.is_primary and not any(link.is_primary for link in rest):
        first = min(rest, key=lambda link: link.sort or 0)
        rest[rest.index(first)] = replace(first, is_primary=True)
    return LinkSet(before.owner, tuple(rest))


def _added(before: LinkSet, link: ContactLink) -> LinkSet | None:
    # What the portal makes of an add that does not claim the primary: it gets it where there was none. A sort
    # of 0 cannot be told from one that is not known, nor can a place among sorts that are not.
    if link.sort is not None and (link.sort <= 0 or not before.is_exact):
        return None
    sort = link.sort
    if sort is None and before.is_exact:
        sort = max([0, *(one.sort or 0 for one in before.links)]) + STEP
    links = [*before.links, replace(link, sort=sort, is_primary=before.primary_id is None)]
    if sort is not None:
        links.sort(key=lambda one: one.sort or 0)
    return LinkSet(before.owner, tuple(links))


def _set(before: LinkSet, after: LinkSet) -> LinkSet:
    # What the portal makes of an items.set: where no link changes it leaves the scalar contact alone.
    same = LinkSet(before.owner, before.links).agrees_with(after) and before.is_exact
    return LinkSet(after.owner, after.links, before.scalar_id if same else None)


def _row(link: ContactLink, key: str, *, with_sort: bool) -> dict[str, Any]:
    row: dict[str, Any] = {key: link.contact_id, "IS_PRIMARY": link.is_primary}
    return {**row, "SORT": link.sort} if with_sort else row
