"""Trying a plan on its first changes, before the rest of it is spread over many tasks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

from airflow.sdk import Context

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.operators.link_apply import Bitrix24ApplyLinkPlanOperator
from airflow_bitrix.operators.shared.parameters import count
from airflow_bitrix.operators.shared.plan_maker import parts_of
from airflow_bitrix.operators.shared.shown_limits import QUIET
from airflow_bitrix.operators.shared.task_arguments import ApplyArguments, PlanGiven


class Bitrix24CanaryLinkPlanOperator(Bitrix24ApplyLinkPlanOperator):
    """Apply the first changes of a plan, all of which must succeed, and give the parts of the plan.

    Airflow maps tasks over a list that a task returns and over nothing else, so this is the task that an
    apply is mapped over: ``Bitrix24ApplyLinkPlanOperator.partial(…).expand(part=canary.output)``. With 0
    changes, and in a dry run, it does nothing else.

    Returns the ``parts`` of the plan; for an empty plan one part with nothing in it, so that the tasks behind
    it have something to follow. What applying came to is under the XCom key ``canary``.

    :param plan: What the plan operator or the approval returned. (templated)
    :param first: So many changes are applied; 0 for none. (templated)
    :raises AirflowException: One of them failed.
    """

    ui_color = "#e6f5c9"
    logs_report = tells_changes = False

    # All of its changes must succeed: it has no share of failures.
    limits: Mapping[str, str] = {**QUIET, "canary": "first"}

    def __init__(
        self,
        *,
        plan: PlanGiven,
        first: int | str = 0,
        **kwargs: Unpack[ApplyArguments],
    ) -> None:
        super().__init__(plan=plan, first=first, **kwargs)

    def work(self, context: Context, *, deferrals: int) -> Any:
        """Apply the first changes, where that is wanted."""
        self.begin(context)
        with final_failures():
            parts, first = self._trial()
            # Where nothing is tried, the applies behind go by the same words all the same.
            is_dry_run = self.orders().dry_run
        if why_not := _why_not(first, parts, is_dry_run=is_dry_run):
            self.log.info("%s", gettext("Nothing is tried first: {why_not}", why_not=why_not))
            if parts and not is_dry_run:
                with final_failures(), self.in_turn(context, self._read(), deferrals):
                    pass
        else:
            tried = super().work(context, deferrals=deferrals)
            context["ti"].xcom_push(key="canary", value=tried)
        return parts or [[]]

    def _trial(self) -> tuple[list[Any], int]:
        """Give the parts of the plan, and how many changes are tried."""
        if not isinstance(given := self.handed(), Mapping):
            raise InvalidInput("plan", given, gettext("what the plan operator or the approval returned"))
        # Those of the plan itself: what was handed on may name others, or not all.
        return parts_of(self._plan()[1]), count("first", self.first)


def _why_not(first: int, parts: Sequence[Any], *, is_dry_run: bool) -> str:
    """Say why no change is tried first; nothing where some are."""
    if not parts:
        return gettext("the plan is empty")
    if is_dry_run:
        return gettext("this is a dry run, which writes nothing")
    return "" if first else gettext("it is switched off (first is 0)")
