"""The places where a contact hangs: one row for each kind of owner, which everything else reads.

On the portal the links of leads, deals, quotes, companies and contacts are one mechanism, with six methods
each. Items of smart processes, and invoices, which are such items, have none: their links are a field of the
item, and are written by saving it.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/index.html.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Literal

LinkedKind = Literal["contact", "company"]
"""What is linked to an owner: contacts; or, where the owner is a contact, its companies."""


@dataclass(frozen=True, slots=True)
class Family:
    """A kind of owner, and how the portal keeps what is linked to it.

    :param kind: What the portal calls a record of it, in lower case.
    :param entity_type_id: ``entityTypeId`` of the ``crm.item.*`` methods.
    :param prefix: What the six link methods begin with; nothing where there are none.
    :param scalar: The field of ``crm.item.*`` that shows the primary one; nothing where the card has none.
    :param also: Further fields that a scan reads, and that every row has.
    :param maybe: Fields that a scan asks for, and that a portal may leave out.
    :param stages: The directory of its stages; a pipeline that is not the first one has one of its own, with
        its number behind.
    :param linked: What is linked to it.
    :param has_origin: Whether a record has the fields in which imports write where it came from.
    """

    kind: str
    entity_type_id: int
    prefix: str = ""
    scalar: str = "contactId"
    also: tuple[str, ...] = ()
    maybe: tuple[str, ...] = ()
    stages: str = ""
    linked: LinkedKind = "contact"
    has_origin: bool = False

    @property
    def several(self) -> str:
        """The field of ``crm.item.*`` that holds all that is linked, in order."""
        return f"{self.linked}Ids"

    @property
    def key(self) -> str:
        """The key of a row of the link methods that names what is linked: ``CONTACT_ID``."""
        return key_of(self.linked)

    @property
    def is_saved(self) -> bool:
        """Whether its links are written by saving the record, which starts the portal's automation."""
        return not self.prefix

    @property
    def is_shared(self) -> bool:
        """Whether flags and sorts of its links are those of what is linked: a company's are its contacts'."""
        return not self.scalar

    @property
    def has_repeat_flag(self) -> bool:
        """Whether the portal recalculates a flag of it when it is saved."""
        return "isReturnCustomer" in self.also

    @property
    def card(self) -> str:
        """Where the card of a record stands below the portal's address; the id follows."""
        old = self.kind in ("lead", "deal", "contact", "company")
        return f"crm/{self.kind if old else f'type/{self.entity_type_id}'}/details"


def key_of(linked: LinkedKind) -> str:
    """Give the key of a row of the link methods that names what is linked."""
    return f"{linked.upper()}_ID"


_STAGED = ("companyId", "stageId")
_REPEATED = (*_STAGED, "isReturnCustomer")
_SEMANTIC = ("stageSemanticId",)

FAMILIES: Mapping[str, Family] = {
    family.kind: family
    for family in (
        Family(
            "lead",
            1,
            "crm.lead.contact",
            also=_REPEATED,
            maybe=_SEMANTIC,
            stages="STATUS",
            has_origin=True,
        ),
        Family(
            "deal",
            2,
            "crm.deal.contact",
            also=_REPEATED,
            maybe=_SEMANTIC,
            stages="DEAL_STAGE",
            has_origin=True,
        ),
        Family("quote", 7, "crm.quote.contact", also=_STAGED, stages="QUOTE_STATUS"),
        Family("company", 4, "crm.company.contact", scalar="", has_origin=True),
        Family("contact", 3, "crm.contact.company", scalar="companyId", linked="company", has_origin=True),
        Family("smart_invoice", 31, also=_STAGED, stages="SMART_INVOICE_STAGE"),
    )
}
"""The kinds that every portal has, by name."""

SMART_PROCESS = "dynamic"
"""What the portal calls any smart process."""

_SMART_PROCESS = re.compile(SMART_PROCESS + r"_([1-9][0-9]{2,9})")

# As the portal numbers its smart processes: the first ones, and those made since there may be many. Of the
# latter the odd numbers are those of deleted ones.
_FIRST = range(128, 192)
_FURTHER = range(1030, 2**31, 2)


@cache
def family_of(kind: str) -> Family:
    """Give the row of a kind: of one of :data:`FAMILIES`, or ``dynamic_1036`` for a smart process.

    :raises KeyError: There is no such kind.
    """
    if (known := FAMILIES.get(kind)) is not None:
        return known
    found = _SMART_PROCESS.fullmatch(kind)
    if not found or ((type_id := int(found[1])) not in _FIRST and type_id not in _FURTHER):
        raise KeyError(kind)
    # Its stages can be switched off.
    return Family(kind, type_id, also=("companyId",), maybe=("stageId",), stages=f"{kind.upper()}_STAGE")


def row_of(kind: str) -> str:
    """Give the name of a kind's row in tables that say something of each: smart processes share one."""
    return SMART_PROCESS if is_smart_process(kind) else kind


def is_smart_process(kind: str) -> bool:
    """Whether a kind is that of the items of a smart process."""
    return kind not in FAMILIES
