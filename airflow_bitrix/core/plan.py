"""Changes: what is to become of an owner's links, the fewest commands for it, and how it stands now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import LinkSet, Owner

if TYPE_CHECKING:
    from airflow_bitrix.core.owner_states import OwnerState

OutcomeName = Literal["applied", "already", "drift", "failed", "skipped"]
OUTCOMES: tuple[OutcomeName, ...] = get_args(OutcomeName)

Standing = Literal["open", "unsaved", "done", "drift"]


@dataclass(frozen=True, slots=True)
class Change:
    """One owner, its link set before and after, and why.

    :param before: What the plan was made from.
    :param after: What is wanted. Where links stay it is a link set that the portal can hold, see
        :func:`~airflow_bitrix.core.link_writes.attainable`.
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
    def saves(self) -> bool:
        """Whether it saves its owner: beside the write, or as the only way to write its links."""
        return self.save or family_of(self.owner.kind).is_saved

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
    if not links_right and not change.before.agrees_with(now.links) and not _is_begun(change, now.links):
        seen, planned = shown_contacts(now.links), shown_contacts(change.before)
        return "drift", gettext("contacts are now {seen}, planned from {planned}", seen=seen, planned=planned)
    if lost := _lost(change, now):
        return "drift", lost
    return ("unsaved" if links_right else "open"), ""


def _is_begun(change: Change, now: LinkSet) -> bool:
    """Whether links are on their way from before to after: a company's are written one by one."""
    if not family_of(change.owner.kind).is_shared:
        return False
    before, after, there = ({*links.contact_ids} for links in (change.before, change.after, now))
    return before & after <= there <= before | after


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
