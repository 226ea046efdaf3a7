"""The clean-up rules by name, and how they are chosen."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from airflow_bitrix.core.cleanup_rules import (
    FixPrimary,
    MergeSamePerson,
    ReleaseRepeatLeads,
    RemoveDangling,
    TrimCompanyContacts,
    UnlinkClosed,
)
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.rule_judgement import Facts, LeftOut, Rule, Verdict, Wish, is_ready, judge
from airflow_bitrix.core.wording import as_rendered

__all__ = ["RULES", "Facts", "LeftOut", "Rule", "Verdict", "Wish", "is_ready", "judge", "rules_for"]

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
"""Every rule by name, in the order in which they are asked.

What clears an owner comes first. The primary contact is put right among contacts that are there, and before
those rules that go by it; they hand it on.
"""


def rules_for(kind: OwnerKind, names: Iterable[str], options: object = None) -> dict[str, Rule]:
    """Look rules up by name and configure them.

    They come in the order of :data:`RULES`, however they were chosen, so that a form with the same ticks
    always gives the same plan.

    :param options: Options by rule, ``{"unlink_closed": {"days": 30}}``. Those of rules that are not chosen
        are checked, too, and have no effect.
    :raises InvalidInput: An unknown name, one for other owners, or none at all; an option that cannot be
        right.
    """
    fitting = {name: rule for name, rule in RULES.items() if kind in rule.kinds}
    accepted = f"one or more of {', '.join(fitting)} for {kind}s"
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise InvalidInput("rules", names, f"a list of {accepted}{as_rendered(names)}")
    chosen = list(names)
    for name in chosen:
        if not isinstance(name, str) or name not in fitting:
            raise InvalidInput("rules", name, accepted)
    if not chosen:
        raise InvalidInput("rules", chosen, accepted)
    given = options if options is not None else {}
    if not isinstance(given, Mapping):
        accepted = "a map of rule to its options, such as {'unlink_closed': {'days': 30}}"
        raise InvalidInput("rule_options", given, accepted + as_rendered(given))
    for name in given:
        if name not in RULES:
            raise InvalidInput("rule_options", name, f"options of {', '.join(RULES)}")
    configured = {
        name: rule.configured({} if given.get(name) is None else given[name]) for name, rule in RULES.items()
    }
    return {name: rule for name, rule in configured.items() if name in chosen}
