"""What the twelve link methods answer, for type checkers.

Follows https://apidocs.bitrix24.com/api-reference/crm/leads/management-communication/index.html and
https://apidocs.bitrix24.com/api-reference/crm/deals/contacts/index.html.
"""

from __future__ import annotations

from typing import Literal, TypedDict

ItemsGet = Literal["crm.lead.contact.items.get", "crm.deal.contact.items.get"]
Fields = Literal["crm.lead.contact.fields", "crm.deal.contact.fields"]
Writing = Literal[
    "crm.lead.contact.add",
    "crm.lead.contact.delete",
    "crm.lead.contact.items.set",
    "crm.lead.contact.items.delete",
    "crm.deal.contact.add",
    "crm.deal.contact.delete",
    "crm.deal.contact.items.set",
    "crm.deal.contact.items.delete",
]
"""They answer whether they changed anything, and at times ``True`` where they did not."""


class LinkItem(TypedDict):
    """A link, as ``items.get`` gives it."""

    CONTACT_ID: int
    SORT: int
    ROLE_ID: int
    IS_PRIMARY: Literal["Y", "N"]


class LinkField(TypedDict):
    """What ``fields`` tells of a field of a link."""

    type: str
    isRequired: bool
    isReadOnly: bool
    isImmutable: bool
    isMultiple: bool
    isDynamic: bool
    title: str
