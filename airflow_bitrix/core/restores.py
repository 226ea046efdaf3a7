"""Taking changes back: what an owner's links were, and whether they can be that again. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Literal

from airflow_bitrix.core.families import LinkedKind, family_of
from airflow_bitrix.core.kind_words import linked_named, linked_words
from airflow_bitrix.core.languages import gettext, gettext_noop, ngettext
from airflow_bitrix.core.link_writes import attainable
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.plan import Change, shown_company, shown_contacts
from airflow_bitrix.core.rule_judgement import LeftOut

RULE = "restore"


@dataclass(frozen=True, slots=True)
class Origin:
    """What a restore goes by.

    :param what: ``journal`` or ``snapshot``.
    :param folder: Folder of the run that is taken back, which holds its journal, or of the snapshot.
    :param created: When the run's plan or the snapshot was made, ISO 8601.
    :param run: The DAG run that made the plan, as people read it; empty where it is not known.
    :param plan: Hash of the plan that is taken back; empty with a snapshot.
    """

    what: str
    folder: str
    created: str
    run: str = ""
    plan: str = ""


@dataclass(frozen=True, slots=True)
class BroughtBack:
    """What an earlier restore made of an owner, from the same image.

    :param links: The links as it was to leave them.
    :param by: Which restore it was, as a person reads it.
    """

    links: LinkSet
    by: str


@dataclass(frozen=True, slots=True)
class CompanyImage:
    """The company that an owner had before an apply gave it another one; ids, 0 for none.

    :param was: The company that it had.
    :param left: The company that the apply was to leave it.
    """

    was: int
    left: int


@dataclass(frozen=True, slots=True)
class Image:
    """What an owner's links were at an earlier time.

    :param links: The links, to be made again.
    :param left: The links as an apply left them; ``None`` where nobody knows, as with a snapshot.
    :param source: Where the image is from, as a person reads it.
    :param unreadable: What is wrong with it, where the links cannot be read; they say nothing then.
    :param brought: What earlier restores of the same apply made of it, the oldest first.
    :param company: Its company, where the apply gave it another one; else it keeps the one that it has now.
    """

    links: LinkSet
    left: LinkSet | None = None
    source: str = field(default_factory=lambda: gettext("the snapshot"))
    unreadable: str = ""
    brought: tuple[BroughtBack, ...] = ()
    company: CompanyImage | None = None

    def company_for(self, now: OwnerState) -> int | None:
        """Give the company that a restore would give the owner, ``None`` where it has the right one."""
        return self.company.was if self.company and self.company.was != now.company_id else None


def needs_exact(image: Image, now: OwnerState) -> bool:
    """Whether sorts of the links as they are now are needed to judge: not where nothing is to be done."""
    return bool(now.links.links) and (image.links.is_exact or not image.links.agrees_with(now.links))


def linked_anew(image: Image, now: OwnerState) -> set[int]:
    """Give the contacts that a restore would link; the portal does not check whether they exist."""
    return set(image.links.contact_ids) - set(now.links.contact_ids)


def judge_restore(
    image: Image,
    now: OwnerState,
    *,
    missing: Collection[int],
    overwrite: bool,
    save: bool,
    no_companies: Collection[int] = (),
) -> Change | LeftOut:
    """Say what brings an owner's links back to an image, or why nothing does.

    A contact that no longer exists is not linked again: the others keep their order, and where the primary
    one is missing the first of them takes its place. What an earlier restore of the same apply left is no
    stranger's change. Only a save gives an owner its company back, so such an owner is saved in any case.

    :param now: The owner with exact links, unless :func:`needs_exact` says otherwise.
    :param missing: Contacts that do not exist, or that the webhook's user may not read.
    :param overwrite: Whether to take away what somebody changed since the apply.
    :param save: Whether the owner is saved after the write.
    :param no_companies: Companies that do not exist, or that the webhook's user may not read.
    """
    seen = shown_contacts(now.links)
    if why_not := _left_alone(image, now, seen, overwrite=overwrite):
        return why_not
    company, no_company = image.company_for(now), ""
    if company in no_companies:
        no_company, company = gettext("company {company} no longer exists", company=str(company)), None
    lost = sorted(linked_anew(image, now) & set(missing))
    wanted = _without(image.links, lost)
    dropped = (
        ngettext(
            "{linked} no longer exists",
            "{linked} no longer exist",
            len(lost),
            linked=linked_named(now.owner.kind, lost),
        )
        if lost
        else ""
    )
    after = attainable(now.links, wanted)
    ours = next((one for one in reversed(image.brought) if one.links.agrees_with(now.links)), None)
    if company is None and after.agrees_with(now.links) and (wanted.links or not lost):
        # Whoever left it so: what is there is all that can be.
        lacks = _shortcomings(wanted, after).values()
        why = "; ".join(filter(None, [no_company, dropped, *lacks]))
        why = why or gettext("the portal cannot hold what was there")
        return _nearest(
            ours, gettext("{why}: was {was}, is {now}", why=why, was=shown_contacts(image.links), now=seen)
        )
    as_known = any(one and one.agrees_with(now.links) for one in (image.left, image.links))
    if image.left is not None and not (as_known or ours or overwrite):
        return LeftOut(gettext_noop("changed since"), _strange(image, image.left, seen))
    if lost and not wanted.links and (company is None or now.links.links):
        return LeftOut(
            _NO_LONGER[family_of(now.owner.kind).linked],
            gettext("{dropped}, and there was no other", dropped=dropped),
        )
    notes = [gettext("restore: as in {source}", source=image.source)]
    if dropped:
        notes.append(gettext("{dropped} and is left out", dropped=dropped))
    if no_company:
        notes.append(gettext("{company}, and does not come back", company=no_company))
    if company is not None:
        notes.append(gettext("saved, so that it is {company} again", company=shown_company(company)))
    notes += _shortcomings(wanted, after).values()
    return Change(
        now.links,
        after,
        ("; ".join(notes),),
        (RULE,),
        # Only a save makes the repeat flag follow; other kinds have none.
        save=(save and family_of(now.owner.kind).has_repeat_flag) or company is not None,
        may_empty=not image.links.links,
        holds={} if company is None else {"company_id": now.company_id},
        company=company,
    )


_NO_LONGER: Mapping[LinkedKind, str] = {
    "contact": gettext_noop("contacts no longer exist"),
    "company": gettext_noop("companies no longer exist"),
}


def _left_alone(image: Image, now: OwnerState, seen: str, *, overwrite: bool) -> LeftOut | None:
    """Give why an owner is left alone whatever its contacts can be brought back to."""
    words = linked_words(now.owner.kind)
    if image.unreadable:
        return LeftOut(
            gettext_noop("what was there cannot be read"),
            gettext("{kinds} are {seen}; {unreadable}", seen=seen, unreadable=image.unreadable, **words),
        )
    if image.links.agrees_with(now.links) and image.company_for(now) is None:
        return LeftOut(
            gettext_noop("as it was already"),
            gettext("{kinds} are {seen}, as in {source}", seen=seen, source=image.source, **words),
        )
    if image.company and not overwrite and now.company_id not in (image.company.was, image.company.left):
        return LeftOut(gettext_noop("changed since"), _strange_company(image.company.left, now))
    return None


def _nearest(ours: BroughtBack | None, told: str) -> LeftOut:
    """Say that an owner is as near to its image as can be, and whose doing that is."""
    if ours:
        return LeftOut(
            gettext_noop("brought back already, as far as can be"),
            gettext("by {by}; {told}", by=ours.by, told=told),
        )
    return LeftOut(gettext_noop("cannot be brought nearer"), told)


def _strange_company(left: int, now: OwnerState) -> str:
    """Say that somebody else gave an owner another company."""
    return gettext(
        "by somebody else: it is now {now}, the apply was to leave it {left}",
        now=shown_company(now.company_id),
        left=shown_company(left),
    )


def _strange(image: Image, left: LinkSet, seen: str) -> str:
    """Say that somebody else changed an owner: what there is now, no run that is known here has left."""
    known = [gettext("the apply was to leave {contacts}", contacts=shown_contacts(left))]
    known += [f"{one.by} {shown_contacts(one.links)}" for one in image.brought]
    words = {"seen": seen, "known": ", ".join(known), **linked_words(left.owner.kind)}
    return gettext("by somebody else: {kinds} are now {seen}, {known}", **words)


def _without(links: LinkSet, lost: Collection[int]) -> LinkSet:
    if not lost:
        return links
    kept = LinkSet(links.owner, tuple(link for link in links.links if link.contact_id not in lost))
    return kept.with_scalar(links.shown_id if links.shown_id in kept.contact_ids else kept.primary_id)


Shortcoming = Literal["sorts", "primary", "scalar", "roles"]
"""In what links that were brought back may differ from those that were there."""


def _shortcomings(wanted: LinkSet, after: LinkSet) -> dict[Shortcoming, str]:
    """Say in what the links that the portal can hold differ from those that were there."""
    notes: dict[Shortcoming, str] = {}
    were = {link.contact_id: link for link in wanted.links}
    if wanted.links and any(link.sort is None for link in wanted.links):
        notes["sorts"] = gettext("its sorts were not known and are numbered anew")
    elif any(link.sort != were[link.contact_id].sort for link in after.links):
        notes["sorts"] = gettext("the portal cannot be told its sorts, so they are numbered anew")
    flagged = [link.contact_id for link in wanted.links if link.is_primary]
    if after.primary_id is not None and flagged != [after.primary_id]:
        had = ", ".join(map(str, flagged)) or gettext("none")
        notes["primary"] = gettext(
            "primary was {had}, and the portal always flags the one that it shows: {primary_id}",
            had=had,
            primary_id=str(after.primary_id),
        )
    if wanted.shown_id != after.shown_id:
        notes["scalar"] = gettext(
            "its card showed {was} first, and will show {becomes}",
            was=str(wanted.shown_id or gettext("none")),
            becomes=str(after.shown_id or gettext("none")),
        )
    if any(were[link.contact_id].role_id for link in after.links):
        notes["roles"] = gettext(
            "roles of {kinds_of} cannot be set and may be lost", **linked_words(wanted.owner.kind)
        )
    return notes


def recovery(image: Image, now: OwnerState, verdict: Change | LeftOut) -> Counter[str]:
    """Count what comes back of an owner's links, and what is lost on the way.

    :param verdict: What :func:`judge_restore` says of the two.
    :return: Links that were ``taken``, come ``back`` and stay ``away``; and, for a change, one for the owner:
        ``whole``, or by what it lacks: ``gone`` (contacts that no longer exist, ``gone_links`` of them),
        ``sorts``, ``primary``, ``scalar``, ``roles`` (``with_roles`` links had one) and ``company`` (which no
        longer exists). Of ``companies`` that come back, one for the owner, too.
    """
    was, here = set(image.links.contact_ids), set(now.links.contact_ids)
    found = Counter(taken=len(was - set((image.left or now.links).contact_ids)))
    if isinstance(verdict, LeftOut):
        return found + Counter(away=0 if image.unreadable else len(was - here))
    after = verdict.after
    gone = was - set(after.contact_ids)
    lacks: Counter[str] = Counter(
        [*_shortcomings(_without(image.links, gone), after), *["gone"] * bool(gone)]
    )
    if gone:
        lacks["gone_links"] = len(gone)
    if lacks["roles"]:
        lacks["with_roles"] = sum(bool(link.role_id) for link in image.links.links)
    if image.company_for(now) and not verdict.company:
        lacks["company"] = 1
    found.update(back=len(set(after.contact_ids) - here), away=len(gone), companies=bool(verdict.company))
    return found + (lacks or Counter(whole=1))


def with_known_scalar(image: LinkSet, planned_from: LinkSet) -> LinkSet:
    """Give an image with the owner's scalar contact as the plan saw it, where the links are still those.

    ``items.get`` does not tell the scalar contact, so what was read right before a write lacks it.
    """
    if image.scalar_id is None and set(image.contact_ids) == set(planned_from.contact_ids):
        return image.with_scalar(planned_from.shown_id)
    return image
