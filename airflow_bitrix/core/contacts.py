"""What is known of a contact, and how phones and e-mails of two contacts are compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import entity_kind
from airflow_bitrix.core.numbers import told_id

ITEM_SELECT = ("id", "companyId", "createdTime", "originatorId", "originId")
"""Fields of ``crm.item.list`` that a scan of contacts asks for."""

LIST_SELECT = (
    "ID",
    "NAME",
    "SECOND_NAME",
    "LAST_NAME",
    "POST",
    "COMMENTS",
    "COMPANY_ID",
    "DATE_CREATE",
    "ORIGINATOR_ID",
    "ORIGIN_ID",
    "PHONE",
    "EMAIL",
)
"""Fields of ``crm.contact.list``, the only list that tells phones and e-mails of a contact."""

_WORTH = ("NAME", "SECOND_NAME", "LAST_NAME", "POST", "COMMENTS", "COMPANY_ID")
"""Fields that say how complete a contact is."""


@dataclass(frozen=True, slots=True)
class Contact:
    """A contact, as a list of the portal shows it.

    :param id: Its id.
    :param company_id: Its first company, 0 where there is none.
    :param created: When it was made, in the portal's form.
    :param originator_id: The system that it came from.
    :param origin_id: Its id there.
    :param name: First and last name; empty where it was not read.
    :param phones: Phones, normalised; empty where they were not read.
    :param emails: E-mails, normalised; empty where they were not read.
    :param filled: How many of its fields, phones and e-mails hold something.
    :param fields: Further fields that were asked for, as the portal gave them.
    """

    id: int
    company_id: int = 0
    created: str = ""
    originator_id: str = ""
    origin_id: str = ""
    name: str = ""
    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()
    filled: int = 0
    fields: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Company:
    """A company as its card shows it.

    :param id: Its id.
    :param contact_ids: Its contacts in the order in which the card shows them: that of their ids.
    """

    id: int
    contact_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Means:
    """Phones and e-mails, in the form in which two of them are compared."""

    phones: tuple[str, ...] = ()
    emails: tuple[str, ...] = ()


def contact_of_item(row: Mapping[str, Any], also: Sequence[str] = ()) -> Contact:
    """Read one row of ``crm.item.list`` for contacts.

    Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.

    :param also: Further fields that were asked for.
    :raises Bitrix24Error: The portal left a field out, so nothing may be concluded.
    """
    for name in ("id", "companyId", *also):
        if name not in row:
            raise _unread("crm.item.list", gettext("left {name} out of a contact", name=repr(name)))
    return Contact(
        id=_id_of("crm.item.list", row, "id"),
        company_id=_company_of("crm.item.list", row, "companyId"),
        created=str(row.get("createdTime") or ""),
        originator_id=str(row.get("originatorId") or ""),
        origin_id=str(row.get("originId") or ""),
        fields={name: row[name] for name in also},
    )


def contact_of_list(row: Mapping[str, Any], phone: Callable[[str], str] | None = None) -> Contact:
    """Read one row of ``crm.contact.list``.

    Follows https://apidocs.bitrix24.com/api-reference/crm/contacts/crm-contact-list.html.

    :param phone: Brings a phone into the form in which it is compared, empty where it is none; by default
        :func:`normal_phone`.
    :raises Bitrix24Error: The portal left a field out, or an id, the phones or the e-mails cannot be read.
    """
    for name in _WORTH:
        if name not in row:
            raise _unread("crm.contact.list", gettext("left {name} out of a contact", name=repr(name)))
    means = means_of("crm.contact.list", row, phone)
    names = (str(row.get(part) or "") for part in ("NAME", "LAST_NAME"))
    worth = sum(row.get(name) not in (None, "", "0", 0) for name in _WORTH)
    return Contact(
        id=_id_of("crm.contact.list", row, "ID"),
        company_id=_company_of("crm.contact.list", row, "COMPANY_ID"),
        created=str(row.get("DATE_CREATE") or ""),
        originator_id=str(row.get("ORIGINATOR_ID") or ""),
        origin_id=str(row.get("ORIGIN_ID") or ""),
        name=" ".join(filter(None, names)),
        phones=means.phones,
        emails=means.emails,
        filled=worth + len(means.phones) + len(means.emails),
    )


def _id_of(method: str, row: Mapping[str, Any], name: str) -> int:
    if not (number := told_id(row.get(name))):
        raise _unread(method, gettext("answered a contact without an id"))
    return number


def _company_of(method: str, row: Mapping[str, Any], name: str) -> int:
    number = told_id(row.get(name))
    if number is None:
        raise _unread(
            method,
            gettext(
                "answered a {name} of contact {number} that is no id",
                name=repr(name),
                number=str(row.get("id", row.get("ID"))),
            ),
        )
    return number


def means_of(method: str, row: Mapping[str, Any], phone: Callable[[str], str] | None = None) -> Means:
    """Read the phones and e-mails of a row of ``crm.contact.list`` or ``crm.lead.list``, each once.

    :param phone: Brings a phone into the form in which it is compared, empty where it is none; by default
        :func:`normal_phone`.
    :raises Bitrix24Error: They cannot be read.
    """
    phones = filter(None, map(phone or normal_phone, _values(method, row, "PHONE")))
    emails = filter(None, map(normal_email, _values(method, row, "EMAIL")))
    return Means(tuple(dict.fromkeys(phones)), tuple(dict.fromkeys(emails)))


def _values(method: str, row: Mapping[str, Any], name: str) -> list[str]:
    """Give phones or e-mails; where a record has none, the portal leaves them out."""
    values = row.get(name) or []
    if not isinstance(values, list) or not all(isinstance(one, Mapping) for one in values):
        raise _unread(
            method,
            gettext(
                "answered {name} of {kind} {number} in no form that it has",
                name=repr(name),
                number=str(row.get("ID")),
                **kind_words(entity_kind(method.split(".")[1])),
            ),
        )
    return [str(one.get("VALUE") or "") for one in values]


def _unread(method: str, what: str) -> Bitrix24Error:
    return Bitrix24Error(gettext("{method}: the portal {what}", method=method, what=what), method=method)


_SHORTEST_PHONE = 5
"""Digits below which a number is an extension or a joke, which many people share."""


def normal_phone(text: str) -> str:
    """Give a phone as its digits, without the international prefix ``00``; empty where it cannot be one."""
    digits = "".join(filter(str.isdecimal, text)).removeprefix("00")
    return digits if len(digits) >= _SHORTEST_PHONE else ""


def normal_email(text: str) -> str:
    """Give an e-mail in lower case without spaces around it; empty where it cannot be one."""
    email = text.strip().lower()
    return email if "@" in email.strip("@") else ""
