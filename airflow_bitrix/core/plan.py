"""Changes: what is to become of an owner's links, the fewest commands for it, and how it stands now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_bitrix.core import methods
from airflow_bitrix.core.languages import gettext, gettext_noop, ngettext
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.numbers import LARGEST

if TYPE_CHECKING:
    from airflow_bitrix.core.owner_states import OwnerState

OutcomeName = Literal["applied", "already", "drift", "failed", "skipped"]
OUTCOMES: tuple[OutcomeName, ...] = get_args(OutcomeName)

Standing = Literal["open", "unsaved", "done", "drift"]

STEP = 10
"""What the portal leaves between two sorts that it gives itself."""

MOST_LINKS = 299
"""Links that one ``items.set`` of an apply holds: PHP drops what goes beyond its thousand values."""


@dataclass(frozen=True, slots=True)
class Change:
    """One owner, its link set before and after, and why.

    :param before: What the plan was made from.
    :param after: What is wanted. Where links stay it is a link set that the portal can hold, see
        :func:`attainable`.
    :param reasons: One text for each rule that asked for it.
    :param rules: Names of the rules that asked for it.
    :param save: Whether the owner is saved after the write. A save starts the portal's automation.
    :param ends_repeat: Whether the owner is to stop being a repeat lead, which only a save brings about.
    :param may_empty: Whether a rule says that the owner may be left without contacts.
    :param holds: What the owner has to be still, by attribute of
        :class:`~airflow_bitrix.core.owner_states.OwnerState`: else the change has lost its ground.
    :param kept_by: Ids of deals that have to hold still what is taken from this lead.
    :param may_dangle: Whether contacts are linked that may no longer exist, as a person asked for.
    """

    before: LinkSet
    after: LinkSet
    reasons: tuple[str, ...]
    rules: tuple[str, ...] = ()
    save: bool = False
    ends_repeat: bool = False
    may_empty: bool = False
    holds: Mapping[str, Any] = field(default_factory=dict)
    kept_by: tuple[int, ...] = ()
    may_dangle: bool = False

    @property
    def owner(self) -> Owner:
        """The owner whose links change."""
        return self.before.owner

    @property
    def added_ids(self) -> set[int]:
        """Ids of contacts that it links anew."""
        return set(self.after.contact_ids) - set(self.before.contact_ids)

    @property
    def empties(self) -> bool:
        """Whether it leaves an owner without contacts that has some."""
        return bool(self.before.links) and not self.after.links

    @property
    def size(self) -> int:
        """How many links it adds, takes away or alters."""
        before = {link.contact_id: link for link in self.before.links}
        after = {link.contact_id: link for link in self.after.links}
        kept = before.keys() & after.keys()
        altered = sum(
            before[one].sort is not None
            and (before[one].sort, before[one].is_primary) != (after[one].sort, after[one].is_primary)
            for one in kept
        )
        return len(before.keys() ^ after.keys()) + altered

    @property
    def wants_exact(self) -> bool:
        """Whether only ``items.get`` can confirm it: links stay, with sorts that are known."""
        return bool(self.after.links) and all(link.sort is not None for link in self.after.links)

    def as_json(self) -> dict[str, Any]:
        """Give the change as one line of a plan file."""
        scalar = {} if self.before.scalar_id is None else {"scalar": self.before.scalar_id}
        return {
            "owner": self.owner.id,
            "before": self.before.as_json(),
            **scalar,
            "after": self.after.as_json(),
            "reasons": list(self.reasons),
            "rules": list(self.rules),
            "save": self.save,
            "ends_repeat": self.ends_repeat,
            "may_empty": self.may_empty,
            **({"holds": dict(self.holds)} if self.holds else {}),
            **({"kept_by": list(self.kept_by)} if self.kept_by else {}),
            **({"may_dangle": True} if self.may_dangle else {}),
        }

    @classmethod
    def from_json(cls, kind: Any, line: dict[str, Any]) -> Change:
        """Read what :meth:`as_json` wrote."""
        owner = Owner(kind, line["owner"])
        return cls(
            before=LinkSet.from_json(owner, line["before"], line.get("scalar")),
            after=LinkSet.from_json(owner, line["after"]),
            reasons=tuple(line["reasons"]),
            rules=tuple(line["rules"]),
            save=line["save"],
            ends_repeat=line["ends_repeat"],
            may_empty=line["may_empty"],
            holds=line.get("holds", {}),
            kept_by=tuple(line.get("kept_by", ())),
            may_dangle=line.get("may_dangle", False),
        )


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """What became of one change.

    :param owner: The owner.
    :param outcome: One of :data:`OUTCOMES`.
    :param reason: Why, in the portal's words where they are the portal's; empty where nothing is to be said.
    :param before: The links that were there right before the write; ``None`` where nothing was written.
    """

    owner: Owner
    outcome: OutcomeName
    reason: str = ""
    before: LinkSet | None = None

    @property
    def is_overwrite(self) -> bool:
        """Whether the write took away what somebody had changed right before it."""
        return self.outcome == "applied" and bool(self.reason)

    @property
    def needs_a_look(self) -> bool:
        """Whether a person should look at it: it failed, drifted, or overwrote somebody's change."""
        return self.outcome in ("failed", "drift") or self.is_overwrite


def standing(change: Change, now: OwnerState) -> tuple[Standing, str]:
    """Say how a change stands against what the portal shows now.

    :return: ``done`` (nothing to write), ``unsaved`` (the links are right, the save is missing), ``open``
        (the links are as planned from), or ``drift`` with the difference in words.
    """
    links_right = change.after.agrees_with(now.links)
    if links_right and not (change.ends_repeat and now.is_repeat):
        return "done", ""
    if not links_right and not change.before.agrees_with(now.links):
        seen, planned = shown_contacts(now.links), shown_contacts(change.before)
        return "drift", gettext("contacts are now {seen}, planned from {planned}", seen=seen, planned=planned)
    if lost := _lost(change, now):
        return "drift", lost
    return ("unsaved" if links_right else "open"), ""


def _lost(change: Change, now: OwnerState) -> str:
    """Say what the change counted on and the owner is no more; nothing where it is so still."""
    for name, wanted in change.holds.items():
        if getattr(now, name) != wanted:
            return gettext(
                "{what} is now {now}, planned from {wanted}",
                what=name.replace("_", " "),
                now=repr(getattr(now, name)),
                wanted=repr(wanted),
            )
    if not change.ends_repeat:
        return ""
    if not now.is_repeat:
        return gettext("no longer a repeat lead, and still linked to its contacts")
    if now.company_id:
        return gettext("now held by company {company_id}", company_id=str(now.company_id))
    return gettext("converted since the plan was made") if now.is_success else ""


def shown_contacts(links: LinkSet) -> str:
    """Give contact ids in order, a star behind each primary; ``none`` where there is no contact."""
    if not links.links:
        return gettext("none")
    shown = ", ".join(
        f"{link.contact_id}*" if link.is_primary else str(link.contact_id) for link in links.links
    )
    if links.scalar_id is None:
        return shown
    first = str(links.scalar_id or gettext("none"))
    return gettext("{shown} (its card shows {contact_id} first)", shown=shown, contact_id=first)


Command = tuple[str, dict[str, Any]]


def attainable(before: LinkSet, wanted: LinkSet) -> LinkSet:
    """Give the link set nearest to the wanted one that a single ``items.set`` can turn *before* into.

    The portal makes one link primary, gives sorts of its own in place of 0 and below, and looks at the
    owner's scalar contact only when a link changes. Order and primary always stay as wanted.
    """
    if not wanted.links:
        return LinkSet(wanted.owner)
    primary = wanted.shown_id if wanted.shown_id in wanted.contact_ids else wanted.primary_id
    first = primary or wanted.links[0].contact_id
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


def _keeps_flags(before: LinkSet, links: Sequence[ContactLink], primary: int) -> bool:
    """Whether the portal would leave flags where several were primary: it knows of the last one only.

    Of the others it takes the flag with a change of their sort alone.
    """
    stored = {link.contact_id: link.sort for link in [link for link in before.links if link.is_primary][:-1]}
    return any(stored.get(link.contact_id) == link.sort and link.contact_id != primary for link in links)


def write_commands(change: Change) -> list[Command]:
    """Give the fewest link commands that turn *before* into *after*; none where they are the same."""
    before, after, owner = change.before, change.after, change.owner
    if before.agrees_with(after):
        return []
    if not after.links:
        return [(methods.name(owner.kind, "items.delete"), methods.items_delete(owner.id))]
    gone = [link.contact_id for link in before.links if link.contact_id not in after.contact_ids]
    flags = sum(link.is_primary for link in before.links)
    if len(gone) == 1 and flags <= 1 and _without(before, gone[0]).agrees_with(after):
        return [(methods.name(owner.kind, "delete"), methods.delete(owner.id, gone[0]))]
    new = [link for link in after.links if link.contact_id not in before.contact_ids]
    if len(new) == 1 and (added := _added(before, new[0])) and added.agrees_with(after):
        # The portal chooses the sort that is wanted anyway where it is not said.
        return [(methods.name(owner.kind, "add"), methods.add(owner.id, new[0].contact_id, new[0].sort))]
    # items.set numbers rows without a sort above 0 by their place, so either all carry one or none does.
    with_sort = all(link.sort for link in after.links)
    rows = [_row(link, with_sort=with_sort) for link in after.links]
    return [(methods.name(owner.kind, "items.set"), methods.items_set(owner.id, rows))]


def write_size(change: Change) -> int:
    """Give the commands that a change takes in requests that write, one that reads its links among them."""
    return len(write_commands(change)) + change.save + change.wants_exact + 1


def requests_of(changes: int, commands: int) -> int:
    """Give about how many requests an apply takes where nothing has to be repeated.

    A request that writes holds 48 commands and two looks; before them all are looked at, 2,500 a request, and
    so does the check behind them.
    """
    return -(-commands // 48) + 2 * -(-changes // 2500)


def unwritable(change: Change) -> tuple[str, str]:
    """Say why no apply can write a change, as a group and in words; nothing where one can."""
    links = change.after.links
    numbers = (change.owner.id, *(number for link in links for number in (link.contact_id, link.sort or 0)))
    if max(numbers) > LARGEST:
        return gettext_noop("numbers too large"), gettext(
            "no id and no sort of the portal is larger than {largest}", largest=str(LARGEST)
        )
    if len(links) <= MOST_LINKS or not replaces(change):
        return "", ""
    why = ngettext(
        "{count} contact is to be linked, and a request that replaces them holds {most} at most",
        "{count} contacts are to be linked, and a request that replaces them holds {most} at most",
        len(links),
        most=MOST_LINKS,
    )
    return gettext_noop("too many contacts"), why


def replaces(change: Change) -> bool:
    """Whether a change is written by ``items.set``, which replaces all links."""
    return any(method.endswith(".items.set") for method, _ in write_commands(change))


def save_command(change: Change) -> Command:
    """Give the command that saves the owner, so that the portal recalculates its repeat flag.

    A save needs a field. ``CONTACT_ID`` is the one that cannot undo somebody else's work here: the portal
    leaves the links as they are where they hold the contact named, and 0 says that there are none.
    """
    owner = change.owner
    # Where links stay, any of them will do; 0 would unlink them all.
    staying = change.after.primary_id or next(iter(change.after.contact_ids), 0)
    fields = {"CONTACT_ID": staying}
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
    links = [*before.links, replace(link, is_primary=before.primary_id is None)]
    if link.sort is not None:
        links.sort(key=lambda one: one.sort or 0)
    return LinkSet(before.owner, tuple(links))


def _set(before: LinkSet, after: LinkSet) -> LinkSet:
    # What the portal makes of an items.set: where no link changes it leaves the scalar contact alone.
    same = LinkSet(before.owner, before.links).agrees_with(after) and before.is_exact
    return LinkSet(after.owner, after.links, before.scalar_id if same else None)


def _row(link: ContactLink, *, with_sort: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"CONTACT_ID": link.contact_id, "IS_PRIMARY": link.is_primary}
    return {**row, "SORT": link.sort} if with_sort else row
