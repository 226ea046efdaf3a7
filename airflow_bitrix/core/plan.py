"""Changes: what is to become of an owner's links, the fewest commands for it, and how it stands now."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_bitrix.core import methods
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner

if TYPE_CHECKING:
    from airflow_bitrix.core.states import OwnerState

OutcomeName = Literal["applied", "already", "drift", "failed", "skipped"]
OUTCOMES: tuple[OutcomeName, ...] = get_args(OutcomeName)

Standing = Literal["open", "unsaved", "done", "drift"]


@dataclass(frozen=True, slots=True)
class Change:
    """One owner, its link set before and after, and why.

    :param before: What the plan was made from.
    :param after: What is wanted.
    :param reasons: One text for each rule that asked for it.
    :param save: Whether the owner is saved after the write. A save starts the portal's automation.
    :param ends_repeat: Whether the owner is to stop being a repeat lead, which only a save brings about.
    """

    before: LinkSet
    after: LinkSet
    reasons: tuple[str, ...]
    save: bool = False
    ends_repeat: bool = False

    @property
    def owner(self) -> Owner:
        """The owner whose links change."""
        return self.before.owner

    def as_json(self) -> dict[str, Any]:
        """Give the change as one line of a plan file."""
        return {
            "owner": self.owner.id,
            "before": self.before.as_json(),
            "after": self.after.as_json(),
            "reasons": list(self.reasons),
            "save": self.save,
            "ends_repeat": self.ends_repeat,
        }

    @classmethod
    def from_json(cls, kind: Any, line: dict[str, Any]) -> Change:
        """Read what :meth:`as_json` wrote."""
        owner = Owner(kind, line["owner"])
        return cls(
            before=LinkSet.from_json(owner, line["before"]),
            after=LinkSet.from_json(owner, line["after"]),
            reasons=tuple(line["reasons"]),
            save=line["save"],
            ends_repeat=line["ends_repeat"],
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
        return "drift", f"contacts are now {seen}, planned from {planned}"
    if change.ends_repeat:
        if not now.is_repeat:
            return "drift", "no longer a repeat lead, and still linked to its contacts"
        if now.company_id:
            return "drift", f"now held by company {now.company_id}"
        if now.is_success:
            return "drift", "converted since the plan was made"
    return ("unsaved" if links_right else "open"), ""


def shown_contacts(links: LinkSet) -> str:
    """Give contact ids in order, a star behind each primary; ``none`` where there is no contact."""
    if not links.links:
        return "none"
    return ", ".join(
        f"{link.contact_id}*" if link.is_primary else str(link.contact_id) for link in links.links
    )


Command = tuple[str, dict[str, Any]]


def write_commands(change: Change) -> list[Command]:
    """Give the fewest link commands that turn *before* into *after*; none where they are the same."""
    before, after, owner = change.before, change.after, change.owner
    if before.agrees_with(after):
        return []
    if not after.links:
        return [(methods.name(owner.kind, "items.delete"), methods.items_delete(owner.id))]
    kept = set(after.contact_ids)
    gone = [contact_id for contact_id in before.contact_ids if contact_id not in kept]
    if len(gone) == 1 and _without(before, gone[0]).agrees_with(after):
        return [(methods.name(owner.kind, "delete"), methods.delete(owner.id, gone[0]))]
    if added := _added(before, after):
        sort = added.sort or None
        return [(methods.name(owner.kind, "add"), methods.add(owner.id, added.contact_id, sort))]
    # items.set numbers rows without a sort above 0 by their place, so either all carry one or none does.
    with_sort = all(link.sort for link in after.links)
    rows = [_row(link, with_sort=with_sort) for link in after.links]
    return [(methods.name(owner.kind, "items.set"), methods.items_set(owner.id, rows))]


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


def _without(links: LinkSet, contact_id: int) -> LinkSet:
    # What the portal makes of a delete: when the primary goes, the first that remains takes its place.
    rest = [link for link in links.links if link.contact_id != contact_id]
    if rest and not any(link.is_primary for link in rest):
        first = rest[0]
        rest[0] = ContactLink(first.contact_id, first.sort, is_primary=True, role_id=first.role_id)
    return LinkSet(links.owner, tuple(rest))


def _added(before: LinkSet, after: LinkSet) -> ContactLink | None:
    # What the portal makes of an add: the new link comes last, and is primary only where none was.
    *rest, last = after.links
    has_primary = before.primary_id is not None
    is_add = LinkSet(after.owner, tuple(rest)).agrees_with(before) and last.is_primary != has_primary
    return last if is_add and (has_primary or not rest) else None


def _row(link: ContactLink, *, with_sort: bool) -> dict[str, Any]:
    row: dict[str, Any] = {"CONTACT_ID": link.contact_id, "IS_PRIMARY": link.is_primary}
    return {**row, "SORT": link.sort} if with_sort else row
