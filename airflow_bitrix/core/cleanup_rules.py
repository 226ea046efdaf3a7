"""The clean-up rules: what an owner's links should be, and why. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from airflow_bitrix.core.languages import gettext, gettext_noop, ngettext
from airflow_bitrix.core.link_edits import primary_of, with_primary, without
from airflow_bitrix.core.links import OF_A_COMPANY, LinkSet, OwnerKind
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.rule_judgement import NOTHING, Facts, LeftOut, Needs, Rule, Verdict, Wish
from airflow_bitrix.core.rule_options import choice, whole
from airflow_bitrix.core.rule_words import moment_of, named


class ReleaseRepeatLeads(Rule):
    """Release a repeat lead: unlink its contacts and save it, so that it can be converted to a contact again.

    A company keeps a lead a repeat lead: such a lead is left out, or loses its company in the same save. A
    converted lead keeps its flag for good, and is left out.

    :param company: What becomes of a lead that a company holds: ``keep`` leaves it out, ``unlink`` takes the
        company off it.
    """

    name = "release_repeat_leads"
    title = gettext_noop("Release repeat leads: unlink their contacts, so that they can be converted again")
    kinds = frozenset({"lead"})

    company: str = choice("keep", "unlink")

    def filter(self, now: datetime) -> Mapping[str, str]:
        """Only repeat leads."""
        del now
        return {"=isReturnCustomer": "Y"}

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want a repeat lead without contacts, and saved."""
        del facts
        if not state.is_repeat:
            return None
        if state.is_success:
            said = gettext("already converted: the portal no longer recalculates the flag")
            return LeftOut(gettext_noop("converted"), said)
        if state.company_id and self.company == "keep":
            said = gettext(
                "company {company} keeps it a repeat lead whatever its contacts",
                company=str(state.company_id),
            )
            return LeftOut(gettext_noop("held by a company"), said)
        return Wish(
            LinkSet(state.owner),
            _why_released(len(state.links.links), state.company_id),
            save=True,
            ends_repeat=True,
            may_empty=True,
            drops_company=bool(state.company_id),
        )


def _why_released(linked: int, company_id: int) -> str:
    """Say what releases a repeat lead.

    :param linked: How many contacts it has.
    :param company_id: The company that it loses; 0 where it has none.
    """
    company = str(company_id)
    if linked and company_id:
        return ngettext(
            "repeat lead: unlink {count} contact, take company {company} off, and save",
            "repeat lead: unlink {count} contacts, take company {company} off, and save",
            linked,
            company=company,
        )
    if linked:
        return ngettext(
            "repeat lead: unlink {count} contact and save",
            "repeat lead: unlink {count} contacts and save",
            linked,
        )
    if company_id:
        return gettext("repeat lead without contacts: take company {company} off, and save", company=company)
    return gettext("repeat lead without contacts: save, so that the portal takes the flag off")


class UnlinkClosed(Rule):
    """Unlink the contacts of lost deals and junk leads that nobody has touched for long.

    Nothing is saved: a junk lead that is a repeat lead stays one until its next save.

    :param days: How many days have to have passed.
    :param since: Since when: ``saved``, the last save, so that no owner is unlinked that was lost more
        recently; or ``created``.
    """

    name = "unlink_closed"
    title = gettext_noop("Unlink closed: take the contacts off lost deals and junk leads that are old")
    kinds = frozenset({"lead", "deal"})

    days: int = whole(90, most=36_500)
    since: str = choice("saved", "created")

    @property
    def also(self) -> tuple[str, ...]:
        """The date that counts."""
        return ("createdTime" if self.since == "created" else "updatedTime",)

    def filter(self, now: datetime) -> Mapping[str, str]:
        """Only lost deals and junk leads, old enough."""
        until = (now - timedelta(days=self.days)).isoformat(timespec="seconds")
        return {"=stageSemanticId": "F", f"<={self.also[0]}": until}

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want a closed owner without contacts."""
        if not state.is_failed or not state.links.links:
            return None
        moment = moment_of(state.fields.get(self.also[0]))
        if moment is None:
            return LeftOut(gettext_noop("age not known"), gettext(_NO_AGE[self.since]))
        if facts.now - moment < timedelta(days=self.days):
            return None
        reason = _CLOSED[state.owner.kind, self.since](len(state.links.links), str(moment.date()))
        # A plan may wait for its approval, and the owner be opened again.
        holds = {"semantic": state.semantic}
        return Wish(LinkSet(state.owner), reason, may_empty=True, holds=holds)


class RemoveDangling(Rule):
    """Remove links to contacts that are gone.

    An owner may be left without contacts by it: what goes has been no contact before. A contact that cannot
    be read stays, and is named. What somebody may not read can look like what is gone, so this is for an
    administrator's webhook.

    :param believe_any_user: Whether to believe a user who is no administrator, where the portal says *Not
        found* of a contact.
    """

    name = "remove_dangling"
    title = gettext_noop("Remove dangling: take away links to contacts that are gone")

    believe_any_user: bool = False

    @property
    def needs_whole_view(self) -> str:
        """A user who does not see all contacts would do damage."""
        if self.believe_any_user:
            return ""
        return gettext("takes contacts that the webhook's user does not see for gone")

    def needs(self, state: OwnerState, facts: Facts) -> Needs:
        """Whether all linked contacts are there."""
        del facts
        return Needs(presence=state.links.contact_ids)

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want the owner without contacts that are gone."""
        gone = [one for one in state.links.contact_ids if one in facts.gone]
        said = [
            gettext("contact {contact}: {said}", contact=str(one), said=facts.unread[one])
            for one in state.links.contact_ids
            if one in facts.unread
        ]
        if not gone:
            return LeftOut(gettext_noop("contact cannot be read"), "; ".join(said)) if said else None
        after = without(state.links, gone)
        text = gettext_noop("{contacts} is gone") if len(gone) == 1 else gettext_noop("{contacts} are gone")
        stays = [gettext("stays, as it cannot be read: {contact}", contact=one) for one in said]
        reason = "; ".join([gettext(text, contacts=named(gone)), *stays])
        return Wish(after, reason, may_empty=not after.links)


class TrimCompanyContacts(Rule):
    """Trim the contacts that came along with a company: keep the primary one and the first few.

    They are those whose own (first) company is the company of the owner. Other contacts are left alone.

    :param keep: How many of them stay beside the primary contact, in order of the links.
    """

    name = "trim_company_contacts"
    title = gettext_noop(
        "Trim company contacts: of those that the company brought along, keep the primary and the first few"
    )
    kinds = OF_A_COMPANY

    keep: int = whole(1, most=1000)

    def filter(self, now: datetime) -> Mapping[str, str]:
        """Only owners with a company."""
        del now
        return {">companyId": "0"}

    def needs(self, state: OwnerState, facts: Facts) -> Needs:
        """All contacts of an owner that has more than may stay."""
        del facts
        linked = state.links.contact_ids
        return Needs(linked) if state.company_id and len(linked) > self.keep + 1 else NOTHING

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want the owner with few contacts of its company."""
        if not state.company_id:
            return None
        primary = primary_of(state.links)
        brought = [
            one
            for one in state.links.contact_ids
            if one != primary and one in facts.contacts and facts.contacts[one].company_id == state.company_id
        ]
        surplus = brought[self.keep :]
        if not surplus:
            return None
        reason = ngettext(
            "{count} contact of company {company} beside the primary one, {keep} may stay: unlink {contacts}",
            "{count} contacts of company {company} beside the primary one, {keep} may stay: "
            "unlink {contacts}",
            len(brought),
            company=str(state.company_id),
            keep=self.keep,
            contacts=named(surplus),
        )
        return Wish(without(state.links, surplus), reason, holds={"company_id": state.company_id})


class FixPrimary(Rule):
    """Make exactly one contact primary, and the owner's ``CONTACT_ID`` that contact.

    :param believe: What is right where both are contacts of the owner: the ``scalar``, ``CONTACT_ID``, by
        which the portal's lists and filters go; or the ``flag`` of the link.
    """

    name = "fix_primary"
    title = gettext_noop(
        "Fix primary: make one contact primary where none or several are, or the card shows another first"
    )
    kinds = frozenset({"lead", "deal", "quote"})  # of the others no flag is their own
    wants_exact = True

    believe: str = choice("scalar", "flag")

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want one primary contact."""
        del facts
        links = state.links
        shown = str(links.shown_id) if links.shown_id else gettext("nobody")
        if not links.links:
            reason = gettext("the card shows {shown} first, and no contact is linked", shown=shown)
            return Wish(LinkSet(state.owner), reason, may_empty=True) if links.shown_id else None
        flagged = [link.contact_id for link in links.links if link.is_primary]
        if len(flagged) == 1 and links.scalar_id is None:
            return None
        first = primary_of(links)
        if self.believe == "flag" and flagged:
            first = min(flagged)
        if not flagged:
            reason = gettext("no contact is primary: {first} becomes it", first=str(first))
        elif len(flagged) > 1:
            text = gettext_noop("{contacts} are all primary: only {first} stays it")
            reason = gettext(text, contacts=named(flagged), first=str(first))
        else:
            text = gettext_noop(
                "the card shows {shown} first, the primary contact is {flagged}: {first} becomes both"
            )
            reason = gettext(text, shown=shown, flagged=str(flagged[0]), first=str(first))
        return Wish(with_primary(links, first), reason)


_CLOSED: Mapping[tuple[OwnerKind, str], Callable[[int, str], str]] = {
    ("lead", "saved"): lambda count, day: ngettext(
        "junk lead, saved {day}: unlink {count} contact",
        "junk lead, saved {day}: unlink {count} contacts",
        count,
        day=day,
    ),
    ("lead", "created"): lambda count, day: ngettext(
        "junk lead, created {day}: unlink {count} contact",
        "junk lead, created {day}: unlink {count} contacts",
        count,
        day=day,
    ),
    ("deal", "saved"): lambda count, day: ngettext(
        "lost deal, saved {day}: unlink {count} contact",
        "lost deal, saved {day}: unlink {count} contacts",
        count,
        day=day,
    ),
    ("deal", "created"): lambda count, day: ngettext(
        "lost deal, created {day}: unlink {count} contact",
        "lost deal, created {day}: unlink {count} contacts",
        count,
        day=day,
    ),
}
_NO_AGE = {
    "saved": gettext_noop("closed, but the portal does not tell when it was saved"),
    "created": gettext_noop("closed, but the portal does not tell when it was created"),
}
