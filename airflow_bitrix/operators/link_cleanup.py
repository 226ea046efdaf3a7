"""Planning a clean-up: which links the rules want otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Unpack

from airflow.sdk import XComArg

from airflow_bitrix import __version__
from airflow_bitrix.client.filters import both
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.core.errors import InvalidInput, PlanRefused, Rejected
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import Owner, OwnerKind, owner_kind
from airflow_bitrix.core.rule_judgement import guarded
from airflow_bitrix.core.rule_notes import RuleNote, note_of
from airflow_bitrix.core.rules import RULES, LeftOut, Rule, rules_for
from airflow_bitrix.core.wording import as_rendered
from airflow_bitrix.crm.filter_checks import check_form, checked_filter
from airflow_bitrix.crm.phones import portal_region
from airflow_bitrix.engine.judging import judge_all
from airflow_bitrix.engine.registered_rules import registered_rules
from airflow_bitrix.files.owner_lists import read_owner_ids
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.operators.shared.artifacts import named_file
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.parameters import (
    is_nothing,
    is_open,
    optional_count,
    optional_day,
    optional_share,
    time_zone,
)
from airflow_bitrix.operators.shared.plan_maker import LinkPlanMaker
from airflow_bitrix.operators.shared.rule_errors import ErrorsAllowed
from airflow_bitrix.operators.shared.task_arguments import PlanArguments

MOST_DAYS = 36_500

MOST_GROUPS = 50
"""Reasons by which owners that are left out are counted: a rule may give one of its own to each."""

OTHERS = gettext_noop("other reasons")

OURS = f"airflow-bitrix {__version__}"


class Bitrix24PlanLinkCleanupOperator(LinkPlanMaker):
    """Scan owners of a kind, ask the clean-up rules about each, and write a plan. Changes nothing.

    What it returns is told at :class:`~airflow_bitrix.operators.shared.plan_maker.LinkPlanMaker`. The plan
    holds each change with its links before and after and its reasons; ``left_out.csv`` beside it names the
    owners that a rule is about but does not touch, and why.

    ``remove_dangling``, and ``merge_same_person`` where it goes by most links, refuse the webhook of a user
    who is no administrator: a contact that the user may not read can look like one that is gone.

    :param rules: Names of rules, ours or those that packages have registered; and rules of one's own, as
        objects or classes. Ours are asked in the order of :data:`airflow_bitrix.core.rules.RULES`, then the
        registered ones by name, whatever their order here, then one's own. One alone reads only the owners
        that it may concern. (templated)
    :param rule_options: Options by rule, such as ``{"unlink_closed": {"days": 30}}``; see the classes in
        :mod:`airflow_bitrix.core.cleanup_rules`. ``None`` for all as they are by default. (templated)
    :param kind: Of the owners: ``lead``, ``deal``, ``quote``, ``company``, ``smart_invoice``, or
        ``dynamic_1036`` for the smart process 1036. (templated)
    :param stages: Only owners in these stages, for example ``["NEW"]``; ``None`` for all. One that the portal
        does not have is refused. (templated)
    :param older_than_days: Only owners created at least so many days ago; ``None`` or 0 for all. (templated)
    :param created_from: Only owners created on this day or later, such as ``2026-11-01``; ``None``
        for any. (templated)
    :param created_to: Only owners created on this day or earlier; ``None`` for any. (templated)
    :param timezone: The time zone in which these days begin and end. (templated)
    :param filter: A further ``crm.item.list`` filter, camelCase names, such as ``{"assignedById": 7}``;
        ``None`` for none. An unknown field is refused. (templated)
    :param owners_file: Only the owners in this file: the ``failed.csv`` of an earlier run, a CSV file with a
        column ``owner_id``, or one id a line; ``None`` for all. (templated)
    :param max_error_share: An owner of which a rule raises an error is left out. Where that is a larger share
        of those read than this, ``"20%"`` or 0.2, the plan ends; ``None`` for no limit. (templated)
    :raises InvalidInput: A parameter that cannot be right. Airflow does not retry it.
    """

    template_fields: Sequence[str] = (
        *LinkPlanMaker.template_fields,
        "rules",
        "rule_options",
        "kind",
        "stages",
        "older_than_days",
        "created_from",
        "created_to",
        "timezone",
        "filter",
        "owners_file",
        "max_error_share",
    )
    ui_color = "#fdf3d0"

    def __init__(
        self,
        *,
        rules: Sequence[str | Rule | type[Rule]] | str,
        rule_options: Mapping[str, Any] | str | None = None,
        kind: str = "lead",
        stages: Sequence[str] | str | None = None,
        older_than_days: int | str | None = None,
        created_from: date | str | None = None,
        created_to: date | str | None = None,
        timezone: str = "UTC",
        filter: Mapping[str, Any] | str | None = None,  # noqa: A002 (the portal's own word for it)
        owners_file: str | XComArg | None = None,
        max_error_share: float | str | None = "20%",
        **kwargs: Unpack[PlanArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.rules = rules
        self.rule_options = rule_options
        self.kind = kind
        self.stages = stages
        self.older_than_days = older_than_days
        self.created_from = created_from
        self.created_to = created_to
        self.timezone = timezone
        self.filter = filter
        self.owners_file = owners_file
        self.max_error_share = max_error_share
        check_constants(
            self,
            ("kind", self.plan_kind),
            ("kind rules rule_options", self._rules),
            ("stages", self._stages),
            ("older_than_days", self._days),
            ("created_from created_to timezone", self._created),
            ("filter", self._own_filter),
            ("owners_file", self._has_file),
            ("max_error_share", self._errors_allowed),
        )

    def plan_kind(self) -> OwnerKind:
        """Give the kind of owners that the plan is about."""
        return owner_kind(self.kind)

    def plan_rules(self) -> tuple[str, ...]:
        """Give the names of the rules, and check all that the plan goes by."""
        rules = self._rules()
        self._filter(rules, datetime.now(UTC), self._own_filter())
        self._owners(self.plan_kind())
        self._errors_allowed()
        return tuple(rules)

    def plan_notes(self) -> tuple[RuleNote, ...]:
        """Give title, version and options of each rule."""
        return tuple(note_of(rule, _version(rule)) for rule in self._rules().values())

    def _rules(self) -> dict[str, Rule]:
        options = None if is_nothing(self.rule_options) else self.rule_options
        return rules_for(self.plan_kind(), self.rules, options, registered_rules())

    def _errors_allowed(self) -> ErrorsAllowed:
        return ErrorsAllowed(optional_share("max_error_share", self.max_error_share))

    def _own_filter(self) -> Mapping[str, Any]:
        own: Any = {} if is_open(self.filter) else self.filter
        check_form(own)
        return own  # type: ignore[no-any-return]

    def _filter(self, rules: Mapping[str, Rule], now: datetime, own: Mapping[str, Any]) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        if len(rules) == 1:  # several rules look for different owners, so all have to be read
            wanted |= _filter_of(next(iter(rules.values())), now)
        if stages := self._stages():
            wanted["@stageId"] = stages
        if days := self._days():
            until = (now - timedelta(days=days)).isoformat(timespec="seconds")
            # A rule may look at the same date; both write it in one form and time zone.
            wanted["<=createdTime"] = min(until, wanted.get("<=createdTime", until))
        wanted |= self._created()
        if twice := sorted(wanted.keys() & own.keys()):
            accepted = gettext("fields that no other parameter or rule filters by already")
            raise InvalidInput("filter", twice[0], accepted)
        return both(own, wanted)

    def _stages(self) -> list[str]:
        if is_open(self.stages):
            return []
        given: Any = self.stages
        right = isinstance(given, (list, tuple)) and all(
            isinstance(one, str) and one.strip() for one in given
        )
        if not given or not right:  # a task that found no stage does not ask for all of them
            accepted = gettext("a list of stage ids, such as ['NEW'], or None for all")
            raise InvalidInput("stages", given, accepted + as_rendered(given))
        return list(given)

    def _days(self) -> int:
        days = optional_count("older_than_days", self.older_than_days) or 0
        if days > MOST_DAYS:
            raise InvalidInput("older_than_days", days, gettext("at most {most}", most=str(MOST_DAYS)))
        return days

    def _created(self) -> dict[str, str]:
        """Give the conditions that the two days come to; the later one ends with its midnight."""
        first, last = (
            optional_day("created_from", self.created_from),
            optional_day("created_to", self.created_to),
        )
        if first and last and first > last:
            accepted = gettext("a day not before created_from, {first}", first=str(first))
            raise InvalidInput("created_to", str(last), accepted)
        zone = time_zone("timezone", self.timezone)

        def midnight(day: date) -> str:
            return datetime.combine(day, time(), zone).isoformat(timespec="seconds")

        found = {}
        if first:
            found[">=createdTime"] = midnight(first)
        if last:
            found["<createdTime"] = midnight(last + timedelta(days=1))
        return found

    async def fill(self, plan: PlanWriter, portal: AsyncPortal, progress: Progress) -> None:
        """Scan the owners and ask the rules about each."""
        kind, rules, now = self.plan_kind(), self._rules(), datetime.now(UTC)
        own = await checked_filter(portal, kind, self._own_filter(), stages=self._stages())
        await self.look_who_sees(portal)
        self._check_view(rules)
        region, errors = await self._region(portal, rules), self._errors_allowed()
        only = self._owners(kind)
        left, groups = dict.fromkeys(only or ()), set[str]()
        wanted = self._filter(rules, now, own)
        found = judge_all(portal, kind, wanted, rules, now, only=only, expect=progress.expect, region=region)
        async with aclosing(found) as judged:
            async for one in judged:
                left.pop(one.state.owner.id, None)
                if one.change:
                    plan.add(one.change)
                for reason in one.left_out:
                    is_told = reason.why in groups or len(groups) < MOST_GROUPS
                    groups.add(reason.why if is_told else OTHERS)
                    plan.leave_out(one.state.owner, reason.why if is_told else OTHERS, reason.reason)
                errors.look(one)
                progress.add(1)
        errors.settle()
        for owner_id in left:
            said = gettext("not there, or not among the owners that the rules and filters look at")
            plan.leave_out(Owner(kind, owner_id), gettext_noop("in the file only"), said)

    async def _region(self, portal: AsyncPortal, rules: Mapping[str, Rule]) -> str | None:
        """Give the country by whose plan phones are read, ``None`` where no rule reads any.

        Contacts are read once for all rules, so these have to agree about it.
        """
        asked = {name: rule.phone_region for name, rule in rules.items() if rule.phone_region is not None}
        if not asked:
            return None
        said = {region for region in asked.values() if region}
        if len(said) > 1:
            accepted = gettext("one 'region' for all rules that read phones")
            raise InvalidInput("rule_options", asked, accepted)
        region = next(iter(said), "")
        if not region:
            try:
                region = await portal_region(portal)
            except Rejected as error:
                told = gettext("The portal does not tell its country: {error}", error=str(error))
                self.log.warning("%s", told)
        if region:
            told = gettext("Phones without a country code are read as those of {region}", region=region)
            self.log.info("%s", told)
        else:
            told = gettext(
                "Phones without a country code are compared by their digits: neither the portal nor "
                "rule_options[{rule}]['region'] says whose they are",
                rule=repr(next(iter(asked))),
            )
            self.log.warning("%s", told)
        return region

    def _check_view(self, rules: Mapping[str, Rule]) -> None:
        """Refuse rules that would do damage with the webhook of somebody who may not see all."""
        for name, rule in rules.items():
            if self.seen_partially and rule.needs_whole_view:
                text = gettext_noop("{rule} {damage}, and {why}; use an administrator's webhook")
                if "believe_any_user" in rule.readers():
                    text = gettext_noop(
                        "{rule} {damage}, and {why}; use an administrator's webhook, or say "
                        "rule_options={{'{rule}': {{'believe_any_user': True}}}}"
                    )
                why = self.seen_partially[0]
                raise PlanRefused(gettext(text, rule=name, damage=rule.needs_whole_view, why=why))

    def _owners(self, kind: OwnerKind) -> list[int] | None:
        return read_owner_ids(named_file("owners_file", self.owners_file), kind) if self._has_file() else None

    def _has_file(self) -> bool:
        if self.owners_file == "":
            accepted = gettext("the path or address of a file, or None for all owners")
            raise InvalidInput("owners_file", "", accepted)
        return not is_open(self.owners_file)


def _filter_of(rule: Rule, now: datetime) -> Mapping[str, str]:
    """Give the filter of a rule; one of anybody's may raise whatever it likes."""
    found = guarded(rule.name, lambda: dict(rule.filter(now)))
    if isinstance(found, LeftOut):
        accepted = gettext("a rule whose filter is a map")
        raise InvalidInput("rules", rule.name, accepted, problem=found.reason)
    return found


def _version(rule: Rule) -> str:
    return OURS if rule.name in RULES else registered_rules().version(type(rule))
