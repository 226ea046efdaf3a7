"""The twelve link methods: what each takes, and how its result is read.

Follows https://apidocs.bitrix24.com/api-reference/crm/leads/management-communication/index.html and
https://apidocs.bitrix24.com/api-reference/crm/deals/contacts/index.html.

The builders refuse what the portal would misread. ``items.set`` is the dangerous one: rows that the portal
cannot read are skipped without a word, and a list of nothing but such rows unlinks every contact.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner, OwnerKind, positive_id
from airflow_bitrix.core.numbers import LARGEST, whole_number
from airflow_bitrix.core.wording import as_rendered

if TYPE_CHECKING:
    from collections.abc import Mapping

Verb = Literal["add", "delete", "items.get", "items.set", "items.delete", "fields"]


@dataclass(frozen=True, slots=True)
class LinkMethod:
    """One of the twelve: which record it hangs on and what it does."""

    kind: OwnerKind
    verb: Verb


METHODS: Mapping[str, LinkMethod] = {
    "crm.lead.contact.add": LinkMethod("lead", "add"),
    "crm.lead.contact.delete": LinkMethod("lead", "delete"),
    "crm.lead.contact.items.get": LinkMethod("lead", "items.get"),
    "crm.lead.contact.items.set": LinkMethod("lead", "items.set"),
    "crm.lead.contact.items.delete": LinkMethod("lead", "items.delete"),
    "crm.lead.contact.fields": LinkMethod("lead", "fields"),
    "crm.deal.contact.add": LinkMethod("deal", "add"),
    "crm.deal.contact.delete": LinkMethod("deal", "delete"),
    "crm.deal.contact.items.get": LinkMethod("deal", "items.get"),
    "crm.deal.contact.items.set": LinkMethod("deal", "items.set"),
    "crm.deal.contact.items.delete": LinkMethod("deal", "items.delete"),
    "crm.deal.contact.fields": LinkMethod("deal", "fields"),
}

_NAMES = {method: name for name, method in METHODS.items()}


def name(kind: OwnerKind, verb: Verb) -> str:
    """Give the REST name of a link method: ``name("lead", "items.get")``."""
    return _NAMES[LinkMethod(kind, verb)]


# -- payloads ----------------------------------------------------------------------------------------------


def add(
    owner_id: object, contact_id: object, sort: object = None, is_primary: object = None
) -> dict[str, Any]:
    """Payload of ``crm.*.contact.add``.

    :param owner_id: Id of the lead or deal.
    :param contact_id: Id of the contact to link.
    :param sort: Place in the order; ``None`` puts the contact last.
    :param is_primary: ``True`` or ``"Y"`` makes the contact the primary one. The first link of an owner
        becomes primary whatever is asked.
    :raises InvalidInput: An argument that the portal would misread.
    """
    fields: dict[str, Any] = {"CONTACT_ID": positive_id("contact_id", contact_id)}
    if sort is not None:
        fields["SORT"] = _sort("sort", sort)
    if is_primary is not None:
        fields["IS_PRIMARY"] = _flag("is_primary", is_primary)
    return {"id": positive_id("owner_id", owner_id), "fields": fields}


def delete(owner_id: object, contact_id: object) -> dict[str, Any]:
    """Payload of ``crm.*.contact.delete``.

    :raises InvalidInput: An id that is not a whole number from 1 to 2,147,483,647.
    """
    return {
        "id": positive_id("owner_id", owner_id),
        "fields": {"CONTACT_ID": positive_id("contact_id", contact_id)},
    }


def items_get(owner_id: object) -> dict[str, Any]:
    """Payload of ``crm.*.contact.items.get``."""
    return {"id": positive_id("owner_id", owner_id)}


def items_delete(owner_id: object) -> dict[str, Any]:
    """Payload of ``crm.*.contact.items.delete``."""
    return {"id": positive_id("owner_id", owner_id)}


def fields() -> dict[str, Any]:
    """Payload of ``crm.*.contact.fields``: nothing."""
    return {}


def items_set(owner_id: object, items: object) -> dict[str, Any]:
    """Payload of ``crm.*.contact.items.set``, which replaces all links of the owner.

    :param items: A list of contact ids, of dicts with ``CONTACT_ID`` and, as wanted, ``SORT`` and
        ``IS_PRIMARY``, or a mix. Rows as ``items.get`` returns them are accepted; their ``ROLE_ID`` is not
        sent, since the portal ignores it.
    :raises InvalidInput: An empty or malformed list; the portal would wipe all links and answer ``true``.
    """
    payload = {"id": positive_id("owner_id", owner_id)}
    if not isinstance(items, (list, tuple)):
        shown = str(items) if callable(items) else items
        raise InvalidInput("items", shown, gettext("a list of contact ids or dicts") + as_rendered(shown))
    if not items:
        raise InvalidInput(
            "items", items, gettext("a list with at least one contact; items.delete clears all links")
        )
    rows = [_item(index, item) for index, item in enumerate(items)]
    _refuse_duplicates(rows)
    _refuse_several_primaries(rows)
    return {**payload, "items": rows}


_ITEM_KEYS = ("CONTACT_ID", "SORT", "IS_PRIMARY", "ROLE_ID")


def _item(index: int, item: object) -> dict[str, Any]:
    where = f"items[{index}]"
    if not isinstance(item, dict):
        return {"CONTACT_ID": positive_id(where, item)}
    unknown = [key for key in item if key not in _ITEM_KEYS]
    if unknown:
        raise InvalidInput(f"{where} key", unknown[0], ", ".join(_ITEM_KEYS) + gettext(" (upper case)"))
    if "CONTACT_ID" not in item:
        raise InvalidInput(where, item, gettext("a contact id, or a dict with CONTACT_ID"))
    row: dict[str, Any] = {"CONTACT_ID": positive_id(f"{where}.CONTACT_ID", item["CONTACT_ID"])}
    if "SORT" in item:
        row["SORT"] = _sort(f"{where}.SORT", item["SORT"])
    if "IS_PRIMARY" in item:
        row["IS_PRIMARY"] = _flag(f"{where}.IS_PRIMARY", item["IS_PRIMARY"])
    return row


def _refuse_duplicates(rows: list[dict[str, Any]]) -> None:
    seen: set[int] = set()
    for row in rows:
        if row["CONTACT_ID"] in seen:
            twice = gettext(
                "each contact once ({contact_id} stands there twice)", contact_id=str(row["CONTACT_ID"])
            )
            raise InvalidInput("items", [row["CONTACT_ID"] for row in rows], twice)
        seen.add(row["CONTACT_ID"])


def _refuse_several_primaries(rows: list[dict[str, Any]]) -> None:
    primaries = [row["CONTACT_ID"] for row in rows if row.get("IS_PRIMARY") == "Y"]
    if len(primaries) > 1:
        raise InvalidInput("items", primaries, gettext("at most one contact with IS_PRIMARY Y"))


def _sort(argument: str, value: object) -> int:
    number = (
        whole_number(str(value)) if isinstance(value, (int, str)) and not isinstance(value, bool) else None
    )
    if number is None or number > LARGEST:
        raise InvalidInput(
            argument, value, gettext("a whole number from 0 to {largest}", largest=str(LARGEST))
        )
    return number


def _flag(argument: str, value: object) -> str:
    if isinstance(value, bool):
        return "Y" if value else "N"
    if value in ("Y", "N"):
        return str(value)
    raise InvalidInput(argument, value, gettext("'Y', 'N', True or False"))


# -- results -----------------------------------------------------------------------------------------------


def links_of(owner: Owner, rows: object) -> LinkSet:
    """Read the result of ``items.get`` as a link set, ordered by sort.

    :raises Bitrix24Error: The portal answered something that is no list of links; each contact stands in one
        once, with an id and a sort that are numbers, and with ``Y`` or ``N`` as its flag.
    """
    try:
        links = [_link(row) for row in rows] if isinstance(rows, list) else None
    except (AttributeError, KeyError, TypeError, ValueError):
        links = None
    if links is None or len({link.contact_id for link in links}) < len(links):
        method = name(owner.kind, "items.get")
        raise Bitrix24Error(
            gettext(
                "{method} ({owner}): the portal answered no list of contact links", method=method, owner=owner
            ),
            method=method,
            owner=str(owner),
        )
    return LinkSet(owner, tuple(sorted(links, key=lambda link: (link.sort or 0, link.contact_id))))


def _link(row: Mapping[str, Any]) -> ContactLink:
    return ContactLink(
        contact_id=positive_id("CONTACT_ID", row["CONTACT_ID"]),
        sort=_number(row["SORT"]),
        is_primary=_is_yes(row["IS_PRIMARY"]),
        role_id=_number(row.get("ROLE_ID") or 0),
    )


def _number(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise TypeError(value)
    number = int(value)
    if abs(number) > LARGEST:
        raise ValueError(value)
    return number


def _is_yes(value: object) -> bool:
    if value not in ("Y", "N"):
        raise ValueError(value)
    return value == "Y"
