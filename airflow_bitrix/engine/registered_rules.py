"""Clean-up rules that packages have registered, by their entry points.

A package says in its ``pyproject.toml``::

    [project.entry-points."airflow_bitrix.rules"]
    vip = "acme_rules:Vip"

Names are read from what pip has written down; a rule is imported when it is looked up, and once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.rules import RULES, TAKEN, Rule

GROUP = "airflow_bitrix.rules"
"""The group of their entry points."""

log = logging.getLogger(__name__)


class Registered(Mapping[str, type[Rule]]):
    """Rules by name. Looking one up raises :class:`InvalidInput` where it cannot be used, and says why.

    :param found: Entry points of the group.
    """

    def __init__(self, found: Iterable[EntryPoint]) -> None:
        self._found: dict[str, list[EntryPoint]] = {}
        for one in found:
            self._found.setdefault(one.name, []).append(one)
        self._loaded: dict[str, type[Rule] | InvalidInput] = {}

    def __getitem__(self, name: str) -> type[Rule]:
        """Give a rule.

        :raises KeyError: None is registered by this name.
        :raises InvalidInput: It cannot be used.
        """
        points = self._found[name]
        if name not in self._loaded:
            try:
                self._loaded[name] = _loaded(points)
            except InvalidInput as error:
                self._loaded[name] = error
                told = gettext("A clean-up rule that a package registers is left out: {error}", error=error)
                log.warning("%s", told)
        found = self._loaded[name]
        if isinstance(found, InvalidInput):
            raise found
        return found

    def __iter__(self) -> Iterator[str]:
        """Give the names, in alphabetical order."""
        return iter(sorted(self._found))

    def __len__(self) -> int:
        """Give how many names there are."""
        return len(self._found)

    def fitting(self, kind: OwnerKind) -> dict[str, type[Rule]]:
        """Give those that are for a kind of owners and can be used; a warning names each that cannot."""
        fitting = {}
        for name in self:
            try:
                rule = self[name]
            except InvalidInput:
                continue
            if rule.is_for(kind):
                fitting[name] = rule
        return fitting

    def version(self, rule: type[Rule]) -> str:
        """Give the package of a rule with its version; what the class says of itself where none has it."""
        points = self._found.get(rule.name, ()) if self._loaded.get(rule.name) is rule else ()
        return next((_package(one) for one in points), str(rule.version))


@cache
def registered_rules() -> Registered:
    """Give the rules that the packages of this environment have registered."""
    return Registered(entry_points(group=GROUP))


def _loaded(points: list[EntryPoint]) -> type[Rule]:
    first = points[0]
    if len(points) > 1:
        others = ", ".join(_package(one) for one in points[1:])
        raise _refused(first, gettext("other packages register it, too: {others}", others=others))
    if first.name in RULES or first.name in TAKEN:
        raise _refused(first, gettext("its name is one of ours"))
    try:
        rule = first.load()
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever a package does when it is imported)
        said = f"{type(error).__name__}: {as_plain_text(error)}"
        raise _refused(first, gettext("it cannot be loaded: {error}", error=said)) from None
    if not isinstance(rule, type) or not issubclass(rule, Rule):
        raise _refused(first, gettext("it is no class of rules"))
    try:
        rule.readers()
    except InvalidInput as error:
        raise _refused(first, str(error)) from None
    if rule.name != first.name:
        raise _refused(first, gettext("the rule calls itself {name}", name=repr(rule.name)))
    return rule


def _refused(point: EntryPoint, why: str) -> InvalidInput:
    where = gettext("entry point {name} of {package}", name=repr(point.name), package=_package(point))
    problem = f"{where}, {point.value}: {why}"
    return InvalidInput("rules", point.name, gettext("a class of rules of that name"), problem=problem)


def _package(point: EntryPoint) -> str:
    return f"{point.dist.name} {point.dist.version}" if point.dist else gettext("a package that has no name")
