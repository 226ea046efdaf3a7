"""Raw calls about contact links that the portal would read as something else than they say.

The portal checks no id, it casts it: ``true``, a list and a reference that finds nothing are record 1, and
``"77abc"`` is 77. Names that it does not know it drops, and rows that it cannot read it skips; so a slip
empties the links of a record that nobody meant, and the answer is ``true``.

Looked at are the link methods of all families, and the ``update`` methods where they write links. Follows
https://apidocs.bitrix24.com/api-reference/crm/leads/management-communication/index.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import unquote_plus

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.families import FAMILIES, LinkedKind, family_of
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import accepted_id, positive_id
from airflow_bitrix.core.methods import METHODS, LinkMethod
from airflow_bitrix.core.references import has_reference

_BODIES: Mapping[str, tuple[str, ...]] = {"add": ("fields",), "delete": ("fields",), "items.set": ("items",)}


def _spellings(name: str) -> tuple[str, ...]:
    return name, name.upper(), name.capitalize(), f"ar{name.capitalize()}"


@dataclass(frozen=True, slots=True)
class _Update:
    """How an ``update`` method names what it reads.

    :param ids: Names of the parameter that says which record.
    :param bodies: Names of the parameter that holds the fields.
    :param also: Further parameters that hold an id.
    :param linked: What it writes links to.
    :param one: The fields of one.
    :param several: The fields of all.
    """

    ids: tuple[str, ...] = ("ID", "id")
    bodies: tuple[str, ...] = _spellings("fields")
    also: tuple[str, ...] = ()
    linked: tuple[LinkedKind, ...] = ("contact",)
    one: tuple[str, ...] = ("CONTACT_ID",)
    several: tuple[str, ...] = ("CONTACT_IDS",)

    @property
    def writing(self) -> frozenset[str]:
        """What those fields are called, however they are spelt."""
        return frozenset(f"{linked}{end}" for linked in self.linked for end in ("id", "ids"))


_UPDATES: Mapping[str, _Update] = {
    "crm.lead.update": _Update(),
    "crm.deal.update": _Update(),
    "crm.quote.update": _Update(),
    "crm.company.update": _Update(one=(), several=("CONTACT_ID",)),
    "crm.contact.update": _Update(linked=("company",), one=("COMPANY_ID",), several=("COMPANY_IDS",)),
    "crm.item.update": _Update(
        ("id",),
        ("fields",),
        ("entityTypeId",),
        ("contact", "company"),
        ("contactId", "companyId"),
        ("contactIds", "companyIds"),
    ),
}
# Only to contacts are companies linked; an owner's own company is none of its links.
_OWNER_UPDATE = replace(
    _UPDATES["crm.item.update"], linked=("contact",), one=("contactId",), several=("contactIds",)
)
_FIELDS = frozenset({"fields", "arfields"})
_MATTERS = _FIELDS | {"id", "entitytypeid"}
_WORDS = gettext_noop("text without references to other commands")


def check_raw_call(method: str, params: Mapping[str, Any]) -> None:
    """Refuse a call about contact links that the portal would read as another one.

    An id is a whole number from 1 to 2,147,483,647 or its plain decimal text; every name is written as the
    portal reads it, and once; no value and no name holds a reference to another command. ``items`` of
    ``items.set`` are rows with their id, and at least one: ``items.delete`` clears. ``contactIds`` and
    ``CONTACT_IDS`` of an ``update``, of a contact ``companyIds`` and ``COMPANY_IDS``, and ``CONTACT_ID`` of a
    company, may be ``[]``, which says that nothing is to be linked; ``null``, ``""``, ``0`` and ``false``
    stand for nothing there. Calls of other methods are left alone.

    A command of a raw ``batch`` that writes contact links is refused whatever it holds, and so is a batch in
    a batch: ``batch()`` of the hook takes calls, and these are looked at.

    :param method: The REST method; the portal reads its name in small letters.
    :param params: Its parameters.
    :raises InvalidInput: Names the parameter, its value and what is accepted.
    """
    name = _plain(method)
    if (found := METHODS.get(name)) and found.verb != "fields":
        _check_link_call(name, found, params)
    elif reads := _UPDATES.get(name):
        _check_update(name, _OWNER_UPDATE if _is_owner(reads, params) else reads, params)
    elif name == "batch":
        _check_batch(params)


def _plain(method: str) -> str:
    return method.lower().removesuffix(".json").removesuffix(".xml")


# -- link methods ------------------------------------------------------------------------------------------


def _check_link_call(method: str, about: LinkMethod, params: Mapping[str, Any]) -> None:
    verb, key = about.verb, family_of(about.kind).key
    _refuse_references(method, params)
    bodies = [spelling for body in _BODIES.get(verb, ()) for spelling in _spellings(body)]
    for name in params:
        if name not in ("ID", "id", *bodies):
            shown = ", ".join(["id", *_BODIES.get(verb, ())])
            raise InvalidInput(f"params of {method}", name, _spelt(shown))
    _check_id(f"id of {method}", _only(method, params, ("ID", "id")))
    if not bodies:
        return
    body = _only(method, params, bodies)
    if verb != "items.set":
        _check_row(f"fields of {method}", key, body)
        return
    if not isinstance(body, (list, tuple)) or not body:
        accepted = gettext("a list of maps with {key}, at least one; items.delete clears all links", key=key)
        raise InvalidInput(f"items of {method}", body, accepted)
    for index, row in enumerate(body):
        _check_row(f"items[{index}] of {method}", key, row)


def _check_row(where: str, key: str, row: object) -> None:
    names = (key, "SORT", "IS_PRIMARY", "ROLE_ID")
    if not isinstance(row, Mapping) or key not in row:
        raise InvalidInput(where, row, gettext("a map with {key}, in this spelling", key=key))
    for name in row:
        if name not in names:
            raise InvalidInput(where, name, _spelt(", ".join(names)))
    _check_id(f"{key} in {where}", row[key])


# -- updates -----------------------------------------------------------------------------------------------


def _check_update(method: str, reads: _Update, params: Mapping[str, Any]) -> None:
    if not _is_about_links(reads, params):
        return
    _refuse_references(method, params)
    read = (*reads.ids, *reads.bodies, *reads.also)
    matters = _MATTERS | reads.writing
    for name in params:
        if name not in read and not matters.isdisjoint(_parts(name)):
            shown = ", ".join((reads.ids[-1], *reads.also, reads.bodies[0]))
            raise InvalidInput(f"params of {method}", name, _spelt(shown))
    for names in (reads.ids, *((name,) for name in reads.also)):
        _check_id(f"{names[-1]} of {method}", _only(method, params, names))
    fields = _only(method, params, reads.bodies)
    if not isinstance(fields, Mapping):
        raise InvalidInput(f"fields of {method}", fields, gettext("a map of field to value"))
    for name, value in fields.items():
        where = f"{name} of {method}"
        if name in reads.one:
            _check_id(where, value)
        elif name in reads.several:
            _check_ids(where, value)
        elif not reads.writing.isdisjoint(_parts(name)):
            accepted = gettext(" or ").join((*reads.one, *reads.several))
            raise InvalidInput(f"fields of {method}", name, _spelt(accepted))


def _is_owner(reads: _Update, params: Mapping[str, Any]) -> bool:
    """Whether an update of any item is none of a contact: to the portal, what is no number may be one."""
    if "entityTypeId" not in reads.also:
        return False
    try:
        type_id = positive_id("entityTypeId", params.get("entityTypeId"))
    except InvalidInput:
        return False
    return type_id != FAMILIES["contact"].entity_type_id


def _is_about_links(reads: _Update, params: Mapping[str, Any]) -> bool:
    """Whether an update says anything of links, or might, where a reference stands for its fields."""
    names = [*params]
    for name, value in params.items():
        if not _FIELDS.isdisjoint(_parts(name)):
            if isinstance(value, str):
                return True
            names += value if isinstance(value, Mapping) else ()
    return any(has_reference(str(name)) or not reads.writing.isdisjoint(_parts(name)) for name in names)


def _check_ids(where: str, value: object) -> None:
    if not isinstance(value, (list, tuple)):
        raise InvalidInput(where, value, gettext("a list of ids; an empty one clears all links"))
    for one in value:
        _check_id(where, one)


# -- batches -----------------------------------------------------------------------------------------------


def _check_batch(params: Mapping[str, Any]) -> None:
    for name, commands in params.items():
        if _parts(name)[0] != "cmd":  # which the portal reads in any case
            continue
        for command in _commands(commands):
            path = re.split(r"[?#]", command)[0]
            method = _method_of(path)
            if method == "batch":  # portals refuse it by its name, and some of them in small letters only
                raise InvalidInput(f"{name} of batch", path, gettext("commands other than batches"))
            if _writes_links(method, command):
                accepted = gettext("calls of this method through batch() of the hook, which looks at them")
                raise InvalidInput(f"{name} of batch", path, accepted)


def _commands(given: object) -> list[str]:
    if isinstance(given, Mapping):
        given = list(given.values())
    found = given if isinstance(given, (list, tuple)) else [given]
    return [command for command in found if isinstance(command, str)]


def _method_of(path: str) -> str:
    """Give the name of a command's method: what stands before a colon is a scheme to the portal."""
    return _plain(path.rpartition(":")[2].strip(" /"))


def _writes_links(method: str, command: str) -> bool:
    if found := METHODS.get(method):
        return found.verb not in ("fields", "items.get")
    if not (reads := _UPDATES.get(method)):
        return False
    told = unquote_plus(command.partition("?")[2])
    return has_reference(told) or any(linked in told.lower() for linked in reads.linked)


# -- what all of them share --------------------------------------------------------------------------------


def _spelt(names: str) -> str:
    return gettext("{names}, in this spelling", names=names)


def _parts(name: object) -> list[str]:
    """Give the words of a name, however they are spelt: in a batch, ``fields[CONTACT_ID]`` are two."""
    return [re.sub(r"[_. ]", "", part).lower() for part in re.split(r"[\[\]]+", str(name))]


def _only(method: str, params: Mapping[str, Any], names: Sequence[str]) -> Any:
    """Give the one parameter that has one of these names."""
    given = [name for name in names if name in params]
    if len(given) != 1:
        problem = (
            gettext("{given} are given", given=gettext(" and ").join(given))
            if given
            else gettext("nothing is given")
        )
        raise InvalidInput(f"{names[0].lower()} of {method}", given, gettext("one of it"), problem=problem)
    return params[given[0]]


def _check_id(where: str, value: object) -> None:
    positive_id(where, value)
    if isinstance(value, str) and not value.isdigit():  # not every blank that is stripped here is one to PHP
        raise InvalidInput(where, value, accepted_id())


def _refuse_references(method: str, params: object) -> None:
    for text in _texts(params):
        if has_reference(text):
            raise InvalidInput(f"params of {method}", text, gettext(_WORDS))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            yield str(name)
            yield from _texts(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            yield from _texts(one)
    elif isinstance(value, str):
        yield value
