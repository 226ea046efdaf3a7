"""What a scan sees of an owner, and how its rows are read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from operator import itemgetter
from typing import Any

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import kind_words, named
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind
from airflow_bitrix.core.numbers import told_id


@cache
def select_of(kind: OwnerKind) -> tuple[str, ...]:
    """Give the fields that a scan asks for: all of them would load products and observers of every row."""
    family = family_of(kind)
    return (*_needed(kind), family.several, *family.maybe)


@cache
def _needed(kind: OwnerKind) -> tuple[str, ...]:
    family = family_of(kind)
    return tuple(filter(None, ("id", family.scalar, *family.also)))


@cache
def _have_needed(kind: OwnerKind) -> Callable[[Mapping[str, Any]], object]:
    return itemgetter(*_needed(kind))


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
    try:
        _have_needed(kind)(row)
        fields = {name: row[name] for name in also}
    except KeyError:
        left_out = next(name for name in (*_needed(kind), *also) if name not in row)
        raise _unread(
            kind, gettext("left {name} out of a {kind}", name=repr(left_out), **kind_words(kind))
        ) from None
    if not (number := told_id(row["id"])):
        raise _unread(kind, gettext("answered a {kind} without an id", **kind_words(kind)))
    family, owner = family_of(kind), Owner(kind, number)
    linked_ids = _ids(row.get(family.several))
    shown = _id(row[family.scalar], family.scalar, owner) if family.scalar else 0
    return OwnerState(
        LinkSet.of_ids(owner, dict.fromkeys(linked_ids or ()), shown or None),
        _flag(row.get("isReturnCustomer"), "isReturnCustomer", owner),
        _id(row.get("companyId"), "companyId", owner),
        _text(row.get("stageId"), "stageId", owner),
        _text(row.get("stageSemanticId"), "stageSemanticId", owner),
        linked_ids is not None,
        fields,
    )


_FLAGS = ("Y", "N", "", True, False, None)


def _ids(value: object) -> list[int] | None:
    if not isinstance(value, list):
        return None
    ids = list(filter(None, map(told_id, value)))
    return ids if len(ids) == len(value) else None


def _id(value: object, name: str, owner: Owner) -> int:
    number = told_id(value)
    if number is None:
        raise _unread(
            owner.kind,
            gettext("answered a {name} of {owner} that is no id", name=repr(name), owner=named(owner)),
        )
    return number


def _text(value: object, name: str, owner: Owner) -> str:
    if type(value) is str:
        return value
    if type(value) is not int and value is not None:
        raise _unread(
            owner.kind,
            gettext("answered a {name} of {owner} that is no text", name=repr(name), owner=named(owner)),
        )
    return str(value or "")


def _flag(value: object, name: str, owner: Owner) -> bool:
    if value not in _FLAGS:
        raise _unread(
            owner.kind,
            gettext(
                "answered a {name} of {owner} that is neither Y nor N", name=repr(name), owner=named(owner)
            ),
        )
    return value in ("Y", True)


def _unread(kind: OwnerKind, what: str) -> Bitrix24Error:
    text = gettext(
        "crm.item.list: the portal {what}; links of {kinds} cannot be read from it",
        what=what,
        **kind_words(kind),
    )
    return Bitrix24Error(text, method="crm.item.list")
