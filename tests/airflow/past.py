"""An apply that lives in a past minute: each trigger fires at once, and its event moves the clock on."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from airflow_bitrix.client import flow
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator

moments: list[float] = [1_577_836_800.0]
"""The time that it is, behind those at which the apply went on before."""


def clock() -> float:
    return moments[-1]


class Apply(Bitrix24ApplyLinkPlanOperator):
    @cached_property
    def hook(self) -> Bitrix24AsyncHook:
        hook = super().hook
        hook.clock = flow.Clock(now=clock)
        return hook

    def execute_again(self, context: Any, event: Any = None, *told: Any, **also: Any) -> Any:
        moments.append(event.timestamp())
        return super().execute_again(context, event, *told, **also)
