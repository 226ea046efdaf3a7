"""What the thirty link methods answer, for type checkers.

Follows https://apidocs.bitrix24.com/api-reference/crm/leads/management-communication/index.html and
https://apidocs.bitrix24.com/api-reference/crm/deals/contacts/index.html.
"""

from __future__ import annotations

from typing import Literal, TypedDict

ItemsGet = Literal[
    "crm.lead.contact.items.get",
    "crm.deal.contact.items.get",
    "crm.quote.contact.items.get",
    "crm.company.contact.items.get",
]
CompanyItemsGet = Literal["crm.contact.company.items.get"]
Fields = Literal[
    "crm.lead.contact.fields",
    "crm.deal.contact.fields",
    "crm.quote.contact.fields",
    "crm.company.contact.fields",
    "crm.contact.company.fields",
]
Writing = Literal[
    "crm.lead.contact.add",
    "crm.lead.contact.delete",
    "crm.lead.contact.items.set",
    "crm.lead.contact.items.delete",
    "crm.deal.contact.add",
    "crm.deal.contact.delete",
    "crm.deal.contact.items.set",
    "crm.deal.contact.items.delete",
    "crm.quote.contact.add",
    "crm.quote.contact.delete",
    "crm.quote.contact.items.set",
    "crm.quote.contact.items.delete",
    "crm.company.contact.add",
    "crm.company.contact.delete",
    "crm.company.contact.items.set",
    "crm.company.contact.items.delete",
    "crm.contact.company.add",
    "crm.contact.company.delete",
    "crm.contact.company.items.set",
    "crm.contact.company.items.delete",
]
"""They answer whether they changed anything, and at times ``True`` where they did not."""


class Placed(TypedDict):
    """What a link says beside what is linked."""

    SORT: int
    ROLE_ID: int
    IS_PRIMARY: Literal["Y", "N"]


class LinkItem(Placed):
    """A link to a contact, as ``items.get`` gives it."""

    CONTACT_ID: int


class CompanyLinkItem(Placed):
    """A link of a contact to a company, as ``items.get`` gives it."""

    COMPANY_ID: int


class LinkField(TypedDict):
    """What ``fields`` tells of a field of a link."""

    type: str
    isRequired: bool
    isReadOnly: bool
    isImmutable: bool
    isMultiple: bool
    isDynamic: bool
    title: str
