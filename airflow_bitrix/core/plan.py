"""Changes: what is to become of an owner's links, and how it stands now."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeGuard, get_args

from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import linked_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.numbers import LARGEST

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
    :param company: The company that the save gives the owner, 0 for none; ``None`` where it keeps its own.
        What it has before stands in *holds*.
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
    company: int | None = None

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
    def company_before(self) -> int | None:
        """The company that it takes the owner from, 0 for none; ``None`` where it keeps its own."""
        return None if self.company is None else self.holds["company_id"]

    @property
    def shows_save(self) -> bool:
        """Whether the owner shows that it was saved: its flag or its company is another then."""
        return self.ends_repeat or self.company is not None

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
        if family_of(self.owner.kind).is_shared:  # whose sorts are not compared
            return False
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
            **({} if self.company is None else {"company": self.company}),
        }

    @classmethod
    def from_json(cls, kind: Any, line: dict[str, Any]) -> Change:
        """Read what :meth:`as_json` wrote.

        :raises ValueError: It is something else; likewise ``TypeError`` and ``KeyError``.
        """
        owner = Owner(kind, line["owner"])
        holds, company = line.get("holds", {}), line.get("company")
        if company is not None and not (is_company(company) and is_company(holds["company_id"])):
            raise ValueError(company)
        return cls(
            before=LinkSet.from_json(owner, line["before"], line.get("scalar")),
            after=LinkSet.from_json(owner, line["after"]),
            reasons=tuple(line["reasons"]),
            rules=tuple(line["rules"]),
            save=line["save"],
            ends_repeat=line["ends_repeat"],
            may_empty=line["may_empty"],
            holds=holds,
            kept_by=tuple(line.get("kept_by", ())),
            may_dangle=line.get("may_dangle", False),
            company=company,
        )


def is_company(value: object) -> TypeGuard[int]:
    """Whether it is the id of a company, or 0 for none."""
    return type(value) is int and 0 <= value <= LARGEST


@dataclass(frozen=True, slots=True)
class ChangeOutcome:
    """What became of one change.

    :param owner: The owner.
    :param outcome: One of :data:`OUTCOMES`.
    :param reason: Why, in the portal's words where they are the portal's; empty where nothing is to be said.
    :param before: The links that were there right before the write; ``None`` where nothing was written.
    :param company: The company that it had right before a write that gives it another one, 0 for none.
    """

    owner: Owner
    outcome: OutcomeName
    reason: str = ""
    before: LinkSet | None = None
    company: int | None = None

    @property
    def is_overwrite(self) -> bool:
        """Whether the write took away what somebody had changed right before it."""
        return self.outcome == "applied" and bool(self.reason)

    @property
    def needs_a_look(self) -> bool:
        """Whether a person should look at it: it failed, drifted, or overwrote somebody's change."""
        return self.outcome in ("failed", "drift") or self.is_overwrite


def standing(change: Change, now: OwnerState, *, begun: bool = False) -> tuple[Standing, str]:
    """Say how a change stands against what the portal shows now.

    :param begun: Whether its write was begun: a company that is as wanted, or links that are on their way,
        may be its own work then.
    :return: ``done`` (nothing to write), ``unsaved`` (the links are right, the save is missing), ``open``
        (the links are as planned from), or ``drift`` with the difference in words.
    """
    links_right = change.after.agrees_with(now.links)
    if links_right and _is_saved(change, now):
        return "done", ""
    if not (links_right or change.before.agrees_with(now.links) or (begun and is_begun(change, now.links))):
        seen, planned = shown_contacts(now.links), shown_contacts(change.before)
        words = {"seen": seen, "planned": planned, **linked_words(change.owner.kind)}
        return "drift", gettext("{kinds} are now {seen}, planned from {planned}", **words)
    if lost := _lost(change, now, begun=begun or links_right):
        return "drift", lost
    return ("unsaved" if links_right else "open"), ""


def is_begun(change: Change, now: LinkSet) -> bool:
    """Whether links are on their way from before to after: a company's are written one by one."""
    if not family_of(change.owner.kind).is_shared:
        return False
    before, after, there = ({*links.contact_ids} for links in (change.before, change.after, now))
    return before & after <= there <= before | after


def _is_saved(change: Change, now: OwnerState) -> bool:
    """Whether the owner shows what the save of a change brings about, as far as it shows anything."""
    return not (change.ends_repeat and now.is_repeat) and change.company in (None, now.company_id)


def unsaved(change: Change, now: OwnerState) -> str:
    """Say what the save of a change has not brought about, though the links are right."""
    if change.company in (None, now.company_id):
        return gettext("still a repeat lead after saving")
    return gettext("after saving, {company}", company=shown_company(now.company_id))


def _lost(change: Change, now: OwnerState, *, begun: bool) -> str:
    """Say what the change counted on and the owner is no more; nothing where it is so still."""
    for name, wanted in change.holds.items():
        if name == "company_id" and begun and now.company_id == change.company:
            continue
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
        if now.links.links:
            return gettext("no longer a repeat lead, and still linked to its contacts")
        return gettext("no longer a repeat lead, and still of company {company}", company=str(now.company_id))
    if now.company_id and change.company is None:
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


def companies_of(change: Change, outcome: ChangeOutcome | None = None) -> tuple[int, int] | None:
    """Give the company that an owner had before a change, and the one that it gives it, 0 for none.

    :param outcome: What became of it, which knows what was really there; ``None`` where nothing has yet.
    :return: ``None`` where the change is about no company.
    """
    was = change.company_before
    if change.company is None or was is None:
        return None
    found = outcome.company if outcome else None
    return was if found is None else found, change.company


def shown_company(company_id: int) -> str:
    """Give what is said of an owner's company, 0 for none."""
    if not company_id:
        return gettext("without a company")
    return gettext("of company {company}", company=str(company_id))


def shown_state(change: Change, now: OwnerState) -> str:
    """Give the contacts of an owner as it is now, and its company where that is not what the change wants."""
    shown = shown_contacts(now.links)
    return shown if change.company in (None, now.company_id) else f"{shown}, {shown_company(now.company_id)}"
