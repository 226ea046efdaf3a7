"""What a scan sees of an owner, and how its rows are read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind
from airflow_bitrix.core.numbers import told_id

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

    Where the portal leaves ``contactIds`` out, or tells no list of ids there, the links of the state are not
    known.

    :param also: Further fields that were asked for.
    :raises Bitrix24Error: The portal left another field out, or it cannot be read: nothing may be concluded.
    """
    if not row.keys() >= {*_NEEDED, *also}:
        left_out = next(name for name in (*_NEEDED, *also) if name not in row)
        raise _unread(kind, f"left {left_out!r} out of a {kind}")
    if not (number := told_id(row["id"])):
        raise _unread(kind, f"answered a {kind} without an id")
    owner = Owner(kind, number)
    contact_ids = _contact_ids(row.get("contactIds"))
    return OwnerState(
        links=LinkSet.of_ids(
            owner, dict.fromkeys(contact_ids or ()), _id_in(row, "contactId", owner) or None
        ),
        is_repeat=_one_of(row, "isReturnCustomer", owner, _FLAGS) in ("Y", True),
        company_id=_id_in(row, "companyId", owner),
        stage_id=str(_text_in(row, "stageId", owner) or ""),
        semantic=str(_text_in(row, "stageSemanticId", owner) or ""),
        links_known=contact_ids is not None,
        fields={name: row[name] for name in also},
    )


_FLAGS = ("Y", "N", "", True, False, None)


def _contact_ids(value: object) -> list[int] | None:
    if not isinstance(value, list):
        return None
    ids = [told_id(one) for one in value]
    return [one for one in ids if one] if all(ids) else None


def _id_in(row: Mapping[str, Any], name: str, owner: Owner) -> int:
    number = told_id(row.get(name))
    if number is None:
        raise _unread(owner.kind, f"answered a {name!r} of {owner} that is no id")
    return number


def _text_in(row: Mapping[str, Any], name: str, owner: Owner) -> str | int | None:
    value = row.get(name)
    if type(value) is not str and type(value) is not int and value is not None:
        raise _unread(owner.kind, f"answered a {name!r} of {owner} that is no text")
    return value


def _one_of(row: Mapping[str, Any], name: str, owner: Owner, values: Sequence[object]) -> object:
    value: object = row[name]
    if isinstance(value, (list, dict)) or value not in values:
        raise _unread(owner.kind, f"answered a {name!r} of {owner} that is neither Y nor N")
    return value


def _unread(kind: OwnerKind, what: str) -> Bitrix24Error:
    text = f"crm.item.list: the portal {what}; links of {kind}s cannot be read from it"
    return Bitrix24Error(text, method="crm.item.list")
