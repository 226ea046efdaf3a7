"""A rule that links contacts: those that have the phone or the e-mail of a lead that has none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.rules import (
    NOTHING,
    Contact,
    Facts,
    LeftOut,
    Needs,
    OwnerState,
    Rule,
    Verdict,
    Wish,
    choice,
    country,
    with_added,
)


class LinkFoundContact(Rule):
    """Link the contact that has the phone or the e-mail of a lead in progress without contacts.

    A lead of which several contacts have them, or one more may that cannot be read, is left out: a person has
    to choose. A lead with a contact becomes a repeat lead with its next save; none is saved for this.

    :param match: What the contact has of the lead's: ``phone_or_email``, ``phone`` or ``email``.
    :param region: The country whose phones are written without their country code, two letters; empty for
        the one that the portal's settings tell.
    """

    name = "link_found_contact"
    title = gettext_noop(
        "Link found contact: give leads without contacts the one that has their phone or e-mail"
    )
    kinds = frozenset({"lead"})

    match: str = choice("phone_or_email", "phone", "email")
    region: str = country()

    @property
    def phone_region(self) -> str | None:
        """The country, unless e-mails alone count."""
        return None if self.match == "email" else self.region

    def filter(self, now: datetime) -> Mapping[str, str]:
        """Only leads in progress."""
        del now
        return {"=stageSemanticId": "P"}

    def needs(self, state: OwnerState, facts: Facts) -> Needs:
        """What phones and e-mails the lead has, who holds them, and what these contacts really have."""
        if state.links.links or state.semantic != "P":
            return NOTHING
        means = self._means(state, facts)
        found = [one for each in means for one in facts.holders.get(each, ())]
        return Needs(means=True, holders=means, contacts=found)

    def judge(self, state: OwnerState, facts: Facts) -> Verdict:
        """Want the one contact that was found."""
        if state.links.links or state.semantic != "P":
            return None
        means = self._means(state, facts)
        ids = sorted({one for each in means for one in facts.holders.get(each, ())})
        found = [one for one in ids if self._has(facts.contacts.get(one), means)]
        if len(found) > 1:
            shown = ", ".join(map(str, found[:10]))
            said = gettext("contacts {contacts} have its phone or e-mail", contacts=shown)
            return LeftOut(gettext_noop("several contacts found"), said)
        if not found:
            return None
        if unread := [one for one in ids if one not in facts.contacts]:
            said = gettext(
                "contact {contact} may have its phone or e-mail, too, and cannot be read",
                contact=str(unread[0]),
            )
            return LeftOut(gettext_noop("contact cannot be read"), said)
        reason = gettext("contact {contact} has the phone of this lead", contact=str(found[0]))
        if self._has(facts.contacts[found[0]], [one for one in means if "@" in one]):
            reason = gettext("contact {contact} has the e-mail of this lead", contact=str(found[0]))
        return Wish(with_added(state.links, found), reason, holds={"semantic": state.semantic})

    def _means(self, state: OwnerState, facts: Facts) -> Sequence[str]:
        own = facts.means.get(state.owner)
        if own is None:
            return ()
        return {"phone": own.phones, "email": own.emails}.get(self.match, own.phones + own.emails)

    def _has(self, contact: Contact | None, means: Sequence[str]) -> bool:
        return contact is not None and not {*means}.isdisjoint(contact.phones + contact.emails)
