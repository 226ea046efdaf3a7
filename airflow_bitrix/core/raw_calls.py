"""Raw calls about contact links that the portal would read as something else than they say.

The portal checks no id, it casts it: ``true``, a list and a reference that finds nothing are record 1, and
``"77abc"`` is 77. Names that it does not know it drops, and rows that it cannot read it skips; so a slip
empties the links of a record that nobody meant, and the answer is ``true``.

Looked at are the link methods of all five families (``crm.lead.contact.*``, ``crm.deal.contact.*``,
``crm.quote.contact.*``, ``crm.company.contact.*`` and ``crm.contact.company.*``), and the ``update`` methods
where they write contacts. Follows
https://apidocs.bitrix24.com/api-reference/crm/leads/management-communication/index.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_plus

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import accepted_id, positive_id
from airflow_bitrix.core.references import has_reference

_LINK_METHOD = re.compile(
    r"crm\.(?:(?:lead|deal|quote|company)\.(contact)|contact\.(company))"
    r"\.(add|delete|items\.get|items\.set|items\.delete)"
)
_BODIES: Mapping[str, tuple[str, ...]] = {"add": ("fields",), "delete": ("fields",), "items.set": ("items",)}


def _spellings(name: str) -> tuple[str, ...]:
    return name, name.upper(), name.capitalize(), f"ar{name.capitalize()}"


@dataclass(frozen=True, slots=True)
class _Update:
    """How an ``update`` method names what it reads.

    :param ids: Names of the parameter that says which record.
    :param bodies: Names of the parameter that holds the fields.
    :param one: The field of one contact.
    :param several: The field of all contacts.
    :param also: Further parameters that hold an id.
    """

    ids: tuple[str, ...] = ("ID", "id")
    bodies: tuple[str, ...] = _spellings("fields")
    one: str = "CONTACT_ID"
    several: str = "CONTACT_IDS"
    also: tuple[str, ...] = ()


_UPDATES: Mapping[str, _Update] = {
    "crm.lead.update": _Update(),
    "crm.deal.update": _Update(),
    "crm.quote.update": _Update(),
    "crm.item.update": _Update(("id",), ("fields",), "contactId", "contactIds", also=("entityTypeId",)),
}
_WRITES_CONTACTS = frozenset({"contactid", "contactids"})
_FIELDS = frozenset({"fields", "arfields"})
_MATTERS = _WRITES_CONTACTS | _FIELDS | {"id", "entitytypeid"}
_WORDS = gettext_noop("text without references to other commands")


def check_raw_call(method: str, params: Mapping[str, Any]) -> None:
    """Refuse a call about contact links that the portal would read as another one.

    An id is a whole number from 1 to 2,147,483,647 or its plain decimal text; every name is written as the
    portal reads it, and once; no value and no name holds a reference to another command. ``items`` of
    ``items.set`` are rows with their id, and at least one: ``items.delete`` clears. ``contactIds`` and
    ``CONTACT_IDS`` of an ``update`` may be ``[]``, which says that no contact is wanted; ``null``, ``""``,
    ``0`` and ``false`` stand for nothing there. Calls of other methods are left alone.

    A command of a raw ``batch`` that writes contact links is refused whatever it holds, and so is a batch in
    a batch: ``batch()`` of the hook takes calls, and these are looked at.

    :param method: The REST method; the portal reads its name in small letters.
    :param params: Its parameters.
    :raises InvalidInput: Names the parameter, its value and what is accepted.
    """
    name = _plain(method)
    if found := _LINK_METHOD.fullmatch(name):
        _check_link_call(name, f"{(found[1] or found[2]).upper()}_ID", found[3], params)
    elif name in _UPDATES:
        _check_update(name, _UPDATES[name], params)
    elif name == "batch":
        _check_batch(params)


def _plain(method: str) -> str:
    return method.lower().removesuffix(".json").removesuffix(".xml")


# -- link methods ------------------------------------------------------------------------------------------


def _check_link_call(method: str, key: str, verb: str, params: Mapping[str, Any]) -> None:
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
    if not _is_about_contacts(params):
        return
    _refuse_references(method, params)
    read = (*reads.ids, *reads.bodies, *reads.also)
    for name in params:
        if name not in read and not _MATTERS.isdisjoint(_parts(name)):
            shown = ", ".join((reads.ids[-1], *reads.also, reads.bodies[0]))
            raise InvalidInput(f"params of {method}", name, _spelt(shown))
    for names in (reads.ids, *((name,) for name in reads.also)):
        _check_id(f"{names[-1]} of {method}", _only(method, params, names))
    fields = _only(method, params, reads.bodies)
    if not isinstance(fields, Mapping):
        raise InvalidInput(f"fields of {method}", fields, gettext("a map of field to value"))
    for name, value in fields.items():
        where = f"{name} of {method}"
        if name == reads.one:
            _check_id(where, value)
        elif name == reads.several:
            _check_ids(where, value)
        elif not _WRITES_CONTACTS.isdisjoint(_parts(name)):
            raise InvalidInput(
                f"fields of {method}",
                name,
                _spelt(gettext("{one} or {several}", one=reads.one, several=reads.several)),
            )


def _is_about_contacts(params: Mapping[str, Any]) -> bool:
    """Whether an update says anything of contacts, or might, where a reference stands for its fields."""
    names = [*params]
    for name, value in params.items():
        if not _FIELDS.isdisjoint(_parts(name)):
            if isinstance(value, str):
                return True
            names += value if isinstance(value, Mapping) else ()
    return any(has_reference(str(name)) or not _WRITES_CONTACTS.isdisjoint(_parts(name)) for name in names)


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
            if _writes_contacts(method, command):
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


def _writes_contacts(method: str, command: str) -> bool:
    if found := _LINK_METHOD.fullmatch(method):
        return found[3] != "items.get"
    told = unquote_plus(command.partition("?")[2])
    return method in _UPDATES and ("contact" in told.lower() or has_reference(told))


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
