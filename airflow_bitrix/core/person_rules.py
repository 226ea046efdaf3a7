"""The rule about contacts that are one person. Pure."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from airflow_bitrix.core.contacts import Contact
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.link_edits import without
from airflow_bitrix.core.owner_states import OwnerState
from airflow_bitrix.core.rule_judgement import NOTHING, Facts, LeftOut, Needs, Rule, Verdict, Wish
from airflow_bitrix.core.rule_options import choice, country, whole
from airflow_bitrix.core.rule_words import moment_of, named

_NEVER = datetime.max.replace(tzinfo=UTC)
_MOST_TOLD = 20
"""Contacts that the portal names at most for one phone."""


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
    title = gettext_noop("Merge same person: of linked contacts that share a phone or e-mail, keep one")

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
        return gettext(
            "keeps the contact with most links, and counts none that the webhook's user does not see"
        )

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
            text = _SAME[self.match, len(others) > 1]
            reasons.append(gettext(text, contacts=named(others), stays=str(stays)))
        told = [
            gettext(
                "{contacts} share a phone that {many} contacts hold: not used",
                contacts=named(ids),
                many=_many(count),
            )
            for ids, count in self._switchboards(state, facts).values()
            if not any({*ids} <= {*group} for group in persons)
        ]
        if reasons:
            return Wish(after, ", ".join([*reasons, *told]))
        return LeftOut(gettext_noop("phone of many"), "; ".join(told)) if told else None

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
                    person |= {member: other for member, whose in person.items() if whose == one}
        groups: dict[int, list[int]] = {}
        for member, whose in person.items():
            groups.setdefault(whose, []).append(member)
        return [group for group in groups.values() if len(group) > 1]

    def _keys(self, contact: Contact, of_many: Collection[str]) -> list[tuple[str, str]]:
        phones = [
            ("phone", phone) for phone in contact.phones if self.match != "email" and phone not in of_many
        ]
        return phones + [("email", email) for email in contact.emails if self.match != "phone"]

    def _rank(self, contact: Contact, facts: Facts) -> tuple[float, datetime, int]:
        worth = {"most_links": facts.links_of.get(contact.id, 0), "most_complete": contact.filled}
        return -worth.get(self.survivor, 0), moment_of(contact.created) or _NEVER, contact.id


_SAME = {
    ("phone_or_email", False): gettext_noop("{contacts} is the same person as {stays} by phone or e-mail"),
    ("phone_or_email", True): gettext_noop("{contacts} are the same person as {stays} by phone or e-mail"),
    ("phone", False): gettext_noop("{contacts} is the same person as {stays} by phone"),
    ("phone", True): gettext_noop("{contacts} are the same person as {stays} by phone"),
    ("email", False): gettext_noop("{contacts} is the same person as {stays} by e-mail"),
    ("email", True): gettext_noop("{contacts} are the same person as {stays} by e-mail"),
}
"""What is said of contacts that are one person: by what they are told, and whether several go."""


def _many(number: int) -> str:
    """Give a number of contacts as far as the portal tells it."""
    return str(number) if number < _MOST_TOLD else gettext("{count} or more", count=_MOST_TOLD)
