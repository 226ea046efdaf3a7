"""The clean-up rules by name, and how they are chosen."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from airflow_bitrix.core.cleanup_rules import (
    FixPrimary,
    ReleaseRepeatLeads,
    RemoveDangling,
    TrimCompanyContacts,
    UnlinkClosed,
)
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.migrations import MIGRATIONS
from airflow_bitrix.core.person_rules import MergeSamePerson
from airflow_bitrix.core.restores import RULE as RESTORE
from airflow_bitrix.core.rule_judgement import Facts, LeftOut, Needs, Rule, Verdict, Wish, is_ready, judge
from airflow_bitrix.core.wording import as_rendered

__all__ = ["RULES", "Facts", "LeftOut", "Needs", "Rule", "Verdict", "Wish", "is_ready", "judge", "rules_for"]

RULES: Mapping[str, type[Rule]] = {
    rule.name: rule
    for rule in (
        ReleaseRepeatLeads,
        UnlinkClosed,
        RemoveDangling,
        FixPrimary,
        MergeSamePerson,
        TrimCompanyContacts,
    )
}
"""Our own rules by name, in the order in which they are asked.

What clears an owner comes first. The primary contact is put right among contacts that are there, and before
those rules that go by it; they hand it on.
"""

TAKEN = frozenset({RESTORE, *MIGRATIONS})
"""Names that plans of other kinds have in the place of a rule's."""

NONE_REGISTERED: Mapping[str, type[Rule]] = {}


def rules_for(
    kind: OwnerKind,
    chosen: Iterable[object],
    options: object = None,
    registered: Mapping[str, type[Rule]] = NONE_REGISTERED,
) -> dict[str, Rule]:
    """Look rules up and configure them.

    Ours come in the order of :data:`RULES`, then those that packages have registered, by name, then those
    that are given themselves, as they are given; however they were chosen, so that a form with the same ticks
    always gives the same plan.

    :param chosen: Names of rules, rules, and classes of rules.
    :param options: Options by rule, ``{"unlink_closed": {"days": 30}}``. Those of rules that are not chosen
        are checked, too, and have no effect; those of registered rules only where they are chosen.
    :param registered: The rules that packages have registered, by name; one is looked up where it is chosen.
    :raises InvalidInput: An unknown name, a rule for other owners, two of one name, or none at all; an option
        that cannot be right.
    """

    def accepted() -> str:
        names = [name for name, rule in RULES.items() if rule.is_for(kind)]
        known = ", ".join([*names, *registered])
        return gettext("one or more of {rules} for {kinds_of}", rules=known, **kind_words(kind))

    if isinstance(chosen, str) or not isinstance(chosen, Iterable):
        a_list = gettext("a list of {items}", items=accepted())
        raise InvalidInput("rules", chosen, a_list + as_rendered(chosen))
    given: dict[str, type[Rule] | Rule] = {}
    named: dict[str, type[Rule]] = {}
    for one in chosen:
        if isinstance(one, Rule) or (isinstance(one, type) and issubclass(one, Rule)):
            _check_own(one, {*given, *named})
            given[one.name] = one
        elif isinstance(one, str) and one not in given and (known := RULES.get(one) or registered.get(one)):
            named[one] = known
        else:
            raise InvalidInput("rules", one, accepted())
    ordered: dict[str, type[Rule] | Rule] = {
        **{name: rule for name, rule in RULES.items() if name in named},
        **{name: named[name] for name in sorted(named.keys() - RULES.keys())},
        **given,
    }
    if not ordered:
        raise InvalidInput("rules", list(ordered), accepted())
    for name, one_of_them in ordered.items():
        if not one_of_them.is_for(kind):
            raise InvalidInput("rules", name, accepted())
    return _configured(ordered, options, registered)


def _check_own(rule: type[Rule] | Rule, chosen: Collection[str]) -> None:
    """Refuse a rule that somebody gives and that cannot be one, or whose name another one has."""
    rule.readers()
    if rule.name in RULES or rule.name in TAKEN or rule.name in chosen:
        accepted = gettext("rules whose names are all different, and none of ours")
        raise InvalidInput("rules", rule.name, accepted)


def _configured(
    rules: Mapping[str, type[Rule] | Rule], options: object, registered: Iterable[str]
) -> dict[str, Rule]:
    given: Any = options if options is not None else {}
    if not isinstance(given, Mapping):
        example = {"unlink_closed": {"days": 30}}
        accepted = gettext("a map of rule to its options, such as {example}", example=example)
        raise InvalidInput("rule_options", given, accepted + as_rendered(given))
    for name in given:
        if name not in RULES and name not in rules and name not in registered:
            known = dict.fromkeys([*RULES, *registered, *rules])
            accepted = gettext("options of {rules}", rules=", ".join(known))
            raise InvalidInput("rule_options", name, accepted)
        if isinstance(rules.get(name), Rule):
            accepted = gettext(
                "options of rules that are chosen by name; this one has its own: {rule}",
                rule=repr(rules[name]),
            )
            raise InvalidInput("rule_options", name, accepted)
    of = {name: {} if given.get(name) is None else given[name] for name in {**RULES, **rules}}
    for name, rule in RULES.items():
        rule.configured(of[name])
    return {
        name: rule if isinstance(rule, Rule) else rule.configured(of[name]) for name, rule in rules.items()
    }
