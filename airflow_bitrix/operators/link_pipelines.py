"""Carrying a plan out: the tasks that every pipeline has behind the one that makes its plan."""

from __future__ import annotations

from typing import Any

from airflow_bitrix.operators.link_apply import Bitrix24ApplyLinkPlanOperator
from airflow_bitrix.operators.plan_maker import LinkPlanMaker


def carry_out(
    plan: LinkPlanMaker, *, is_dry_run: bool | str = True, **arguments: Any
) -> Bitrix24ApplyLinkPlanOperator:
    """Put the tasks behind a plan that carry it out, and give the last of them.

    :param plan: The task that makes the plan.
    :param is_dry_run: Look only, write nothing. (templated)
    """
    return Bitrix24ApplyLinkPlanOperator(
        task_id="apply",
        bitrix24_conn_id=plan.bitrix24_conn_id,
        plan=plan.output,
        is_dry_run=is_dry_run,
        **arguments,
    )
