"""The places where a contact hangs: one row for each kind of owner, which everything else reads.

On the portal the links of leads, deals, quotes, companies and contacts are one mechanism, with six methods
each. Items of smart processes, and invoices, which are such items, have none: their links are a field of the
item, and are written by saving it.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/index.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

LinkedKind = Literal["contact", "company"]
"""What is linked to an owner: contacts, or to a contact its companies."""


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of owner, and how the portal keeps what is linked to it.

    :param kind: What the portal calls a record of it, in lower case.
    :param entity_type_id: ``entityTypeId`` of the ``crm.item.*`` methods.
    :param prefix: What the six link methods begin with; nothing where there are none.
    :param scalar: The field of ``crm.item.*`` that shows the primary one; nothing where the card has none.
    :param also: Further fields that a scan reads, and that every row has.
    :param linked: What is linked to it.
    """

    kind: str
    entity_type_id: int
    prefix: str = ""
    scalar: str = "contactId"
    also: tuple[str, ...] = ()
    linked: LinkedKind = "contact"

    @property
    def several(self) -> str:
        """The field of ``crm.item.*`` that holds all that is linked, in order."""
        return f"{self.linked}Ids"

    @property
    def key(self) -> str:
        """The key of a row of the link methods that names what is linked: ``CONTACT_ID``."""
        return f"{self.linked.upper()}_ID"

    @property
    def card(self) -> str:
        """Where the card of a record stands below the portal's address; the id follows."""
        old = self.kind in ("lead", "deal", "contact", "company")
        return f"crm/{self.kind if old else f'type/{self.entity_type_id}'}/details"


_STAGED = ("companyId", "stageId")

FAMILIES: Mapping[str, Family] = {
    family.kind: family
    for family in (
        Family("lead", 1, "crm.lead.contact", also=(*_STAGED, "isReturnCustomer")),
        Family("deal", 2, "crm.deal.contact", also=(*_STAGED, "isReturnCustomer")),
        Family("quote", 7, "crm.quote.contact", also=_STAGED),
        Family("company", 4, "crm.company.contact", scalar=""),
        Family("contact", 3, "crm.contact.company", scalar="companyId", linked="company"),
        Family("smart_invoice", 31, also=_STAGED),
    )
}
"""The kinds that every portal has, by name."""

_SMART_PROCESS = "dynamic_"


@cache
def family_of(kind: str) -> Family:
    """Give the row of a kind: of one of :data:`FAMILIES`, or ``dynamic_1036`` for a smart process.

    :raises KeyError: There is no such kind.
    """
    if (known := FAMILIES.get(kind)) is not None:
        return known
    number = kind.removeprefix(_SMART_PROCESS)
    if number == kind or not (number.isascii() and number.isdigit()) or number[0] == "0":
        raise KeyError(kind)
    if not _is_smart_process(type_id := int(number)):
        raise KeyError(kind)
    return Family(kind, type_id, also=("companyId",))


def _is_smart_process(type_id: int) -> bool:
    # As the portal gives them out; the odd ones of the second range are kept for what was deleted.
    return 128 <= type_id < 192 or (1030 <= type_id <= 2**31 - 1 and type_id % 2 == 0)
