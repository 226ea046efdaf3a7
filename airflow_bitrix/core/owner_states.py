"""What a scan sees of an owner, and how its rows are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind

SELECT = ("id", "contactId", "contactIds", "companyId", "stageId", "stageSemanticId", "isReturnCustomer")
"""Fields that a scan asks for; asking for all of them would load products and observers of every row."""


_NEEDED = tuple(name for name in SELECT if name not in ("stageSemanticId", "contactIds"))


@dataclass(frozen=True, slots=True)
class OwnerState:
    """An owner as ``crm.item.list`` shows it.

    :param links: Contacts in order, with the scalar contact as primary; sort and role are not known.
    :param is_repeat: ``IS_RETURN_CUSTOMER``: for a lead, whether it is a repeat lead.
    :param company_id: The company that the owner belongs to, 0 where there is none.
    :param stage_id: The stage, for example ``NEW``.
    :param semantic: ``P`` in progress, ``S`` success, ``F`` failed.
    :param links_known: Whether the portal told the links; where it did not, ``links`` says nothing.
    :param fields: Further fields that were asked for, as the portal gave them.
    """

    links: LinkSet
    is_repeat: bool = False
    company_id: int = 0
    stage_id: str = ""
    semantic: str = ""
    links_known: bool = True
    fields: Mapping[str, Any] = field(default_factory=dict)

    @property
    def owner(self) -> Owner:
        """The owner itself."""
        return self.links.owner

    @property
    def is_success(self) -> bool:
        """Whether the owner is in its success stage: a converted lead, a won deal."""
        return self.semantic == "S" or self.stage_id == "CONVERTED"

    @property
    def is_failed(self) -> bool:
        """Whether the owner is closed without success: a junk lead, a lost deal."""
        # Stages of further pipelines carry their number: C5:LOSE.
        told = self.semantic or ("F" if self.stage_id.rpartition(":")[2] in ("JUNK", "LOSE") else "")
        return told == "F"


def state_of(kind: OwnerKind, row: Mapping[str, Any], also: Sequence[str] = ()) -> OwnerState:
    """Read one row of ``crm.item.list``.

    Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.

    A portal that leaves ``contactIds`` out gives a state whose links are not known.

    :param also: Further fields that were asked for.
    :raises Bitrix24Error: The portal left out another field, so nothing may be concluded.
    """
    for name in (*_NEEDED, *also):
        if name not in row:
            raise Bitrix24Error(
                f"crm.item.list: the portal left {name!r} out of a {kind}; links cannot be read from it",
                method="crm.item.list",
            )
    owner = Owner(kind, int(row["id"]))
    contact_ids = dict.fromkeys(int(contact_id) for contact_id in row.get("contactIds") or ())
    return OwnerState(
        links=LinkSet.of_ids(owner, contact_ids, int(row.get("contactId") or 0) or None),
        is_repeat=row.get("isReturnCustomer") in ("Y", True),
        company_id=int(row.get("companyId") or 0),
        stage_id=str(row["stageId"] or ""),
        semantic=str(row.get("stageSemanticId") or ""),
        links_known="contactIds" in row,
        fields={name: row[name] for name in also},
    )
