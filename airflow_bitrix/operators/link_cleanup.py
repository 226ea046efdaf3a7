"""Planning a clean-up: which links the rules want otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow_bitrix.client.listing import both
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.progress import Progress
from airflow_bitrix.client.scan import check_filter, scan
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import OwnerKind, owner_kind
from airflow_bitrix.core.rules import Rule, judge, rules_for
from airflow_bitrix.files.plans import PlanWriter
from airflow_bitrix.operators.parameters import count
from airflow_bitrix.operators.plan_maker import LinkPlanMaker


class Bitrix24PlanLinkCleanupOperator(LinkPlanMaker):
    """Scan leads or deals, ask the clean-up rules about each, and write a plan. Changes nothing.

    What it returns is told at :class:`~airflow_bitrix.operators.plan_maker.LinkPlanMaker`. The plan holds
    each change with its links before and after and its reasons; ``left_out.csv`` beside it names the owners
    that a rule is about but does not touch, and why.

    :param rules: Names of rules, see :data:`airflow_bitrix.core.rules.RULES`. (templated)
    :param kind: ``lead`` or ``deal``. (templated)
    :param stages: Only owners in these stages, for example ``["NEW"]``; empty for all. (templated)
    :param older_than_days: Only owners created at least so many days ago; ``None`` or 0 for all. (templated)
    :param filter: A further ``crm.item.list`` filter, camelCase names, such as ``{"assignedById": 7}``. An
        unknown field is refused. (templated)
    :raises InvalidInput: A parameter that cannot be right. Airflow does not retry it.
    """

    template_fields: Sequence[str] = (
        *LinkPlanMaker.template_fields,
        "rules",
        "kind",
        "stages",
        "older_than_days",
        "filter",
    )
    ui_color = "#fdf3d0"

    def __init__(
        self,
        *,
        rules: Sequence[str] | str,
        kind: str = "lead",
        stages: Sequence[str] | str = (),
        older_than_days: int | str | None = None,
        filter: Mapping[str, Any] | str | None = None,  # noqa: A002 (the portal's own word for it)
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.rules = rules
        self.kind = kind
        self.stages = stages
        self.older_than_days = older_than_days
        self.filter = filter

    def plan_kind(self) -> OwnerKind:
        """Give the kind of owners that the plan is about."""
        return owner_kind(self.kind)

    def plan_rules(self) -> tuple[str, ...]:
        """Give the names of the rules, and check all that the plan goes by."""
        rules = rules_for(self.plan_kind(), self.rules)
        self._filter(rules)
        return tuple(rules)

    def _filter(self, rules: Mapping[str, Rule]) -> dict[str, Any]:
        wanted: dict[str, Any] = {}
        if len(rules) == 1:  # several rules look for different owners, so all have to be read
            wanted |= next(iter(rules.values())).filter
        if isinstance(self.stages, str) or not all(isinstance(stage, str) for stage in self.stages or ()):
            raise InvalidInput("stages", self.stages, "a list of stage ids, such as ['NEW']")
        if self.stages:
            wanted["@stageId"] = list(self.stages)
        if days := count("older_than_days", self.older_than_days or 0):
            wanted["<=createdTime"] = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="seconds")
        own = self.filter if self.filter is not None else {}
        if not isinstance(own, Mapping):
            raise InvalidInput(
                "filter", own, "a dict of crm.item.list field to value, such as {'stageId': 'NEW'}"
            )
        if twice := sorted(wanted.keys() & own.keys()):
            raise InvalidInput(
                "filter", twice[0], "fields that no other parameter or rule filters by already"
            )
        return both(own, wanted)

    async def fill(self, plan: PlanWriter, portal: AsyncPortal, progress: Progress) -> None:
        """Scan the owners and ask the rules about each."""
        kind = self.plan_kind()
        rules = rules_for(kind, self.rules)
        if isinstance(self.filter, Mapping) and self.filter:
            await check_filter(portal, kind, self.filter)
        async for state in scan(portal, kind, self._filter(rules)):
            change, left_out = judge(state, rules)
            if change:
                plan.add(change)
            for reason in left_out:
                plan.leave_out(state.owner, reason.why, reason.reason)
            progress.add(1)
