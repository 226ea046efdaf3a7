"""The link methods, six for each family that has them: what each takes, and how its result is read.

Follows https://apidocs.bitrix24.com/api-reference/crm/leads/management-communication/index.html and
https://apidocs.bitrix24.com/api-reference/crm/deals/contacts/index.html.

The builders refuse what the portal would misread. ``items.set`` is the dangerous one: rows that the portal
cannot read are skipped without a word, and a list of nothing but such rows unlinks every contact.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, get_args

from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput
from airflow_bitrix.core.families import FAMILIES, Family, LinkedKind, family_of, key_of
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner, OwnerKind, positive_id
from airflow_bitrix.core.numbers import LARGEST, whole_number
from airflow_bitrix.core.wording import as_rendered

if TYPE_CHECKING:
    from collections.abc import Mapping

Verb = Literal["add", "delete", "items.get", "items.set", "items.delete", "fields"]


@dataclass(frozen=True, slots=True)
class LinkMethod:
    """One of them: which record it hangs on and what it does."""

    kind: OwnerKind
    verb: Verb


METHODS: Mapping[str, LinkMethod] = {
    f"{family.prefix}.{verb}": LinkMethod(family.kind, verb)
    for family in FAMILIES.values()
    if family.prefix
    for verb in get_args(Verb)
}
"""Every link method, by its REST name."""

_NAMES = {method: name for name, method in METHODS.items()}


def name(kind: OwnerKind, verb: Verb) -> str:
    """Give the REST name of a link method: ``name("lead", "items.get")``."""
    return _NAMES[LinkMethod(kind, verb)]


# -- payloads ----------------------------------------------------------------------------------------------


def add(
    owner_id: object,
    contact_id: object,
    sort: object = None,
    is_primary: object = None,
    linked: LinkedKind = "contact",
) -> dict[str, Any]:
    """Payload of ``crm.*.contact.add``.

    :param owner_id: Id of the owner.
    :param contact_id: Id of the contact to link; of a company, where ``linked`` says so.
    :param sort: Place in the order; ``None`` puts the contact last.
    :param is_primary: ``True`` or ``"Y"`` makes the contact the primary one. The first link of an owner
        becomes primary whatever is asked.
    :param linked: What is linked.
    :raises InvalidInput: An argument that the portal would misread.
    """
    fields: dict[str, Any] = _fields(contact_id, linked)
    if sort is not None:
        fields["SORT"] = _sort("sort", sort)
    if is_primary is not None:
        fields["IS_PRIMARY"] = _flag("is_primary", is_primary)
    return {"id": positive_id("owner_id", owner_id), "fields": fields}


def delete(owner_id: object, contact_id: object, linked: LinkedKind = "contact") -> dict[str, Any]:
    """Payload of ``crm.*.contact.delete``.

    :raises InvalidInput: An id that is not a whole number from 1 to 2,147,483,647.
    """
    return {"id": positive_id("owner_id", owner_id), "fields": _fields(contact_id, linked)}


def _fields(linked_id: object, linked: LinkedKind) -> dict[str, Any]:
    return {key_of(linked): positive_id(f"{linked}_id", linked_id)}


def items_get(owner_id: object) -> dict[str, Any]:
    """Payload of ``crm.*.contact.items.get``."""
    return {"id": positive_id("owner_id", owner_id)}


def items_delete(owner_id: object) -> dict[str, Any]:
    """Payload of ``crm.*.contact.items.delete``."""
    return {"id": positive_id("owner_id", owner_id)}


def fields() -> dict[str, Any]:
    """Payload of ``crm.*.contact.fields``: nothing."""
    return {}


def items_set(owner_id: object, items: object, linked: LinkedKind = "contact") -> dict[str, Any]:
    """Payload of ``crm.*.contact.items.set``, which replaces all links of the owner.

    :param items: A list of contact ids, of dicts with ``CONTACT_ID`` and, as wanted, ``SORT`` and
        ``IS_PRIMARY``, or a mix. Rows as ``items.get`` returns them are accepted; their ``ROLE_ID`` is not
        sent, since the portal ignores it. Of companies, with ``COMPANY_ID``.
    :param linked: What is linked.
    :raises InvalidInput: An empty or malformed list; the portal would wipe all links and answer ``true``.
    """
    payload = {"id": positive_id("owner_id", owner_id)}
    words = kind_words(linked)
    if not isinstance(items, (list, tuple)):
        shown = str(items) if callable(items) else items
        accepted = gettext("a list of {kind} ids or dicts", **words)
        raise InvalidInput("items", shown, accepted + as_rendered(shown))
    if not items:
        raise InvalidInput(
            "items", items, gettext("a list with at least one {kind}; items.delete clears all links", **words)
        )
    rows = [_item(index, item, linked) for index, item in enumerate(items)]
    ids = [row[key_of(linked)] for row in rows]
    if twice := next((one for one, times in Counter(ids).items() if times > 1), None):
        accepted = gettext("each {kind} once ({id} stands there twice)", id=str(twice), **words)
        raise InvalidInput("items", ids, accepted)
    primaries = [one for one, row in zip(ids, rows, strict=True) if row.get("IS_PRIMARY") == "Y"]
    if len(primaries) > 1:
        raise InvalidInput("items", primaries, gettext("at most one {kind} with IS_PRIMARY Y", **words))
    return {**payload, "items": rows}


def _item(index: int, item: object, linked: LinkedKind) -> dict[str, Any]:
    where, key = f"items[{index}]", key_of(linked)
    if not isinstance(item, dict):
        return {key: positive_id(where, item)}
    keys = (key, "SORT", "IS_PRIMARY", "ROLE_ID")
    unknown = [name for name in item if name not in keys]
    if unknown:
        raise InvalidInput(f"{where} key", unknown[0], ", ".join(keys) + gettext(" (upper case)"))
    if key not in item:
        accepted = gettext("a {kind} id, or a dict with {key}", key=key, **kind_words(linked))
        raise InvalidInput(where, item, accepted)
    row: dict[str, Any] = {key: positive_id(f"{where}.{key}", item[key])}
    if "SORT" in item:
        row["SORT"] = _sort(f"{where}.SORT", item["SORT"])
    if "IS_PRIMARY" in item:
        row["IS_PRIMARY"] = _flag(f"{where}.IS_PRIMARY", item["IS_PRIMARY"])
    return row


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

    The flags of a company's links say which company is the primary one of each contact: they are none of its
    own, and are left out.

    :raises Bitrix24Error: The portal answered something that is no list of links; each contact stands in one
        once, with an id and a sort that are numbers, and with ``Y`` or ``N`` as its flag.
    """
    try:
        links = [_link(row, family_of(owner.kind)) for row in rows] if isinstance(rows, list) else None
    except (AttributeError, KeyError, TypeError, ValueError):
        links = None
    if links is None or len({link.contact_id for link in links}) < len(links):
        method = name(owner.kind, "items.get")
        raise Bitrix24Error(
            gettext("{method} ({owner}): the portal answered no list of links", method=method, owner=owner),
            method=method,
            owner=str(owner),
        )
    return LinkSet(owner, tuple(sorted(links, key=lambda link: (link.sort or 0, link.contact_id))))


def _link(row: Mapping[str, Any], family: Family) -> ContactLink:
    return ContactLink(
        contact_id=positive_id(family.key, row[family.key]),
        sort=_number(row["SORT"]),
        is_primary=_is_yes(row["IS_PRIMARY"]) and bool(family.scalar),
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
