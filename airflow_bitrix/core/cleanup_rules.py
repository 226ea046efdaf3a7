"""The clean-up rules: what an owner's links should be, and why. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta

from airflow_bitrix.core.contacts import Contact
from airflow_bitrix.core.link_edits import primary_of, with_primary, without
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.rule_judgement import NOTHING, Facts, LeftOut, Needs, Rule, Verdict, Wish
from airflow_bitrix.core.rule_options import choice, country, whole


class ReleaseRepeatLeads(Rule):
    """Release a repeat lead: unlink its contacts and save it, so that it can be converted to a contact again.

    A company keeps a lead a repeat lead, and a converted lead keeps its flag for good: both are left out.
    """

    name = "release_repeat_leads"
    title = "Release repeat leads: unlink their contacts, so that they can be converted again"
    kinds = frozenset({"lead"})

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
            return LeftOut("converted", "already converted: the portal no longer recalculates the flag")
        if state.company_id:
            return LeftOut(
                "held by a company",
                f"company {state.company_id} keeps it a repeat lead whatever its contacts",
            )
        reason = f"repeat lead: unlink {_contacts(len(state.links.links))} and save"
        if not state.links.links:
            reason = "repeat lead without contacts: save, so that the portal takes the flag off"
        return Wish(LinkSet(state.owner), reason, save=True, ends_repeat=True, may_empty=True)


class UnlinkClosed(Rule):
    """Unlink the contacts of lost deals and junk leads that nobody has touched for long.

    Nothing is saved: a junk lead that is a repeat lead stays one until its next save.

    :param days: How many days have to have passed.
    :param since: Since when: ``saved``, the last save, so that no owner is unlinked that was lost more
        recently; or ``created``.
    """

    name = "unlink_closed"
    title = "Unlink closed: take the contacts off lost deals and junk leads that are old"

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
        moment = _moment(state.fields.get(self.also[0]))
        if moment is None:
            return LeftOut("age not known", f"closed, but the portal does not tell when it was {self.since}")
        if facts.now - moment < timedelta(days=self.days):
            return None
        closed = "lost deal" if state.owner.kind == "deal" else "junk lead"
        reason = f"{closed}, {self.since} {moment.date()}: unlink {_contacts(len(state.links.links))}"
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
    title = "Remove dangling: take away links to contacts that are gone"

    believe_any_user: bool = False

    @property
    def needs_whole_view(self) -> str:
        """A user who does not see all contacts would do damage."""
        return "" if self.believe_any_user else "takes contacts that the webhook's user does not see for gone"

    def needs(self, state: OwnerState, facts: Facts) -> Needs:
        """Whether all linked contacts are there."""
        del facts
        return Needs(presence=state.links.contact_ids)

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want the owner without contacts that are gone."""
        gone = [one for one in state.links.contact_ids if one in facts.gone]
        said = [
            f"contact {one}: {facts.unread[one]}" for one in state.links.contact_ids if one in facts.unread
        ]
        if not gone:
            return LeftOut("contact cannot be read", "; ".join(said)) if said else None
        after = without(state.links, gone)
        verb = "is" if len(gone) == 1 else "are"
        reason = "; ".join(
            [f"{_named(gone)} {verb} gone", *(f"stays, as it cannot be read: {one}" for one in said)]
        )
        return Wish(after, reason, may_empty=not after.links)


class MergeSamePerson(Rule):
    """Of linked contacts that share a phone or an e-mail, keep one. The contacts themselves stay as they are.

    The one that stays keeps its place; it becomes primary where one of the others was.

    Phones are compared by their numbering plans, extensions included. What more than a few contacts hold is
    the number of a switchboard, and says nothing of who they are.

    :param survivor: Which one stays: the one with ``most_links`` to leads and deals, the ``oldest``, or the
        ``most_complete``. Where that leaves several, the oldest.
    :param match: By what persons are told: ``phone_or_email``, ``phone`` or ``email``.
    :param region: The country whose phones are written without their country code, two letters; empty for
        the one that the portal's settings tell.
    :param shared_by: How many contacts of the portal may hold a phone by which they are one person.
    :param believe_any_user: With ``most_links``: whether to go by the leads and deals that a user sees who
        is no administrator.
    """

    name = "merge_same_person"
    title = "Merge same person: of linked contacts that share a phone or e-mail, keep one"

    survivor: str = choice("most_links", "oldest", "most_complete")
    match: str = choice("phone_or_email", "phone", "email")
    region: str = country()
    shared_by: int = whole(3, least=2, most=19)
    believe_any_user: bool = False

    @property
    def phone_region(self) -> str | None:
        """The country, unless e-mails alone count."""
        return None if self.match == "email" else self.region

    @property
    def needs_whole_view(self) -> str:
        """Of a contact that hangs on what is not seen, too few links would be counted."""
        if self.survivor != "most_links" or self.believe_any_user:
            return ""
        return "keeps the contact with most links, and counts none that the webhook's user does not see"

    def needs(self, state: OwnerState, facts: Facts) -> Needs:
        """All contacts of an owner that has several; who else holds what they share; the links of persons."""
        linked = state.links.contact_ids
        if len(linked) < 2:  # noqa: PLR2004
            return NOTHING
        shared = self._shared(state, facts)
        # Who is one person is known once it is known which phones are those of a switchboard.
        decides = self.survivor == "most_links" and facts.holders.keys() >= shared.keys()
        persons = self._persons(state, facts) if decides else []
        return Needs(linked, holders=[*shared], links_of=[one for group in persons for one in group])

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want each person once."""
        after, reasons = state.links, []
        persons = self._persons(state, facts)
        for group in persons:
            stays = min(group, key=lambda one: self._rank(facts.contacts[one], facts))
            others = [one for one in group if one != stays]
            after = without(after, others, heir=stays)
            verb = "is" if len(others) == 1 else "are"
            reasons.append(f"{_named(others)} {verb} the same person as {stays} by {_BY[self.match]}")
        told = [
            f"{_named(ids)} share a phone that {_many(count)} contacts hold: not used"
            for ids, count in self._switchboards(state, facts).values()
            if not any({*ids} <= {*group} for group in persons)
        ]
        if reasons:
            return Wish(after, ", ".join([*reasons, *told]))
        return LeftOut("phone of many", "; ".join(told)) if told else None

    def _known(self, state: OwnerState, facts: Facts) -> list[Contact]:
        return [facts.contacts[one] for one in state.links.contact_ids if one in facts.contacts]

    def _shared(self, state: OwnerState, facts: Facts) -> dict[str, list[int]]:
        """Give the phones that several linked contacts hold, with these contacts."""
        if self.match == "email":
            return {}
        held: dict[str, list[int]] = {}
        for contact in self._known(state, facts):
            for phone in contact.phones:
                held.setdefault(phone, []).append(contact.id)
        return {phone: ids for phone, ids in held.items() if len(ids) > 1}

    def _switchboards(self, state: OwnerState, facts: Facts) -> dict[str, tuple[list[int], int]]:
        """Give the phones that say nothing of a person, with their linked contacts and how many hold them."""
        counts = {
            phone: (ids, max(len(ids), len(facts.holders.get(phone, ()))))
            for phone, ids in self._shared(state, facts).items()
        }
        return {phone: told for phone, told in counts.items() if told[1] > self.shared_by}

    def _persons(self, state: OwnerState, facts: Facts) -> list[list[int]]:
        """Give the groups of linked contacts that are one person, each in the order of the links."""
        known = self._known(state, facts)
        of_many = self._switchboards(state, facts)
        person = {contact.id: contact.id for contact in known}
        holders: dict[tuple[str, str], int] = {}
        for contact in known:
            for key in self._keys(contact, of_many):
                one, other = person[contact.id], person[holders.setdefault(key, contact.id)]
                if one != other:
                    person |= {member: other for member, named in person.items() if named == one}
        groups: dict[int, list[int]] = {}
        for member, named in person.items():
            groups.setdefault(named, []).append(member)
        return [group for group in groups.values() if len(group) > 1]

    def _keys(self, contact: Contact, of_many: Collection[str]) -> list[tuple[str, str]]:
        phones = [
            ("phone", phone) for phone in contact.phones if self.match != "email" and phone not in of_many
        ]
        return phones + [("email", email) for email in contact.emails if self.match != "phone"]

    def _rank(self, contact: Contact, facts: Facts) -> tuple[float, datetime, int]:
        worth = {"most_links": facts.links_of.get(contact.id, 0), "most_complete": contact.filled}
        return -worth.get(self.survivor, 0), _moment(contact.created) or _NEVER, contact.id


_BY = {"phone_or_email": "phone or e-mail", "phone": "phone", "email": "e-mail"}


class TrimCompanyContacts(Rule):
    """Trim the contacts that came along with a company: keep the primary one and the first few.

    They are those whose own (first) company is the company of the owner. Other contacts are left alone.

    :param keep: How many of them stay beside the primary contact, in order of the links.
    """

    name = "trim_company_contacts"
    title = (
        "Trim company contacts: of those that the company brought along, keep the primary and the first few"
    )

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
        reason = f"{_contacts(len(brought))} of company {state.company_id} beside the primary one"
        return Wish(
            without(state.links, surplus),
            f"{reason}, {self.keep} may stay: unlink {_named(surplus)}",
            holds={"company_id": state.company_id},
        )


class FixPrimary(Rule):
    """Make exactly one contact primary, and the owner's ``CONTACT_ID`` that contact.

    :param believe: What is right where both are contacts of the owner: the ``scalar``, ``CONTACT_ID``, by
        which the portal's lists and filters go; or the ``flag`` of the link.
    """

    name = "fix_primary"
    title = "Fix primary: make one contact primary where there is none, several, or CONTACT_ID is another"
    wants_exact = True

    believe: str = choice("scalar", "flag")

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want one primary contact."""
        del facts
        links = state.links
        shown = f"CONTACT_ID is {links.shown_id or 'empty'}"
        if not links.links:
            reason = f"{shown}, and no contact is linked"
            return Wish(LinkSet(state.owner), reason, may_empty=True) if links.shown_id else None
        flagged = [link.contact_id for link in links.links if link.is_primary]
        if len(flagged) == 1 and links.scalar_id is None:
            return None
        first = primary_of(links)
        if self.believe == "flag" and flagged:
            first = min(flagged)
        if not flagged:
            reason = f"no contact is primary: {first} becomes it"
        elif len(flagged) > 1:
            reason = f"{_named(flagged)} are all primary: only {first} stays it"
        else:
            reason = f"{shown}, the primary contact is {flagged[0]}: {first} becomes both"
        return Wish(with_primary(links, first), reason)


# -- words -------------------------------------------------------------------------------------------------

_NEVER = datetime.max.replace(tzinfo=UTC)
_MOST_NAMED = 10
_MOST_TOLD = 20
"""Contacts that the portal names at most for one phone."""


def _moment(text: object) -> datetime | None:
    """Read a date of the portal, ``None`` where there is none."""
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment.replace(tzinfo=UTC) if moment and moment.tzinfo is None else moment


def _many(number: int) -> str:
    """Give a number of contacts as far as the portal tells it."""
    return str(number) if number < _MOST_TOLD else f"{_MOST_TOLD} or more"


def _contacts(number: int) -> str:
    return f"{number} contact{'s' * (number != 1)}"


def _named(contact_ids: Collection[int]) -> str:
    """Give ``contact 7`` or ``contacts 7, 8``; not more than a person reads."""
    shown = ", ".join(str(one) for one in list(contact_ids)[:_MOST_NAMED])
    more = len(contact_ids) - _MOST_NAMED
    return f"contact{'s' * (len(contact_ids) != 1)} {shown}" + (f" and {more} more" if more > 0 else "")
