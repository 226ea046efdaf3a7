"""What type checkers are told of arguments is what the operators take."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import BaseOperator, BaseSensorOperator

from airflow_bitrix.compat import ApprovalOperator
from airflow_bitrix.operators import contact_links, link_plans
from airflow_bitrix.operators.shared import task_arguments
from airflow_bitrix.operators.shared.base import Bitrix24BaseOperator
from airflow_bitrix.sensors import contact_links as link_sensors
from airflow_bitrix.sensors import records
from airflow_bitrix.sensors.waiting import Bitrix24Sensor

MODULES = (contact_links, link_plans, link_sensors, records)
OPERATORS = [getattr(module, name) for module in MODULES for name in module.__all__]
OURS = (Bitrix24BaseOperator, Bitrix24Sensor)


def taken(*operators: type[Any]) -> set[str]:
    """Names of what classes take themselves."""
    return {
        name
        for operator in operators
        for name, parameter in inspect.signature(operator.__dict__["__init__"]).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


AIRFLOWS = set(task_arguments.TaskArguments.__annotations__)


def test_airflows_arguments_are_those_of_the_airflow_that_is_here() -> None:
    """After a new release of Airflow, what it takes newly belongs into TaskArguments."""
    assert taken(BaseOperator) <= AIRFLOWS
    since = {"retry_policy", "render_template_as_native_obj"}  # Airflow 3.2 or later
    assert AIRFLOWS - taken(BaseOperator) <= since
    asking = taken(ApprovalOperator, *ApprovalOperator.__bases__, HITLOperator)
    assert set(task_arguments.SensorArguments.__annotations__) - AIRFLOWS == taken(BaseSensorOperator)
    assert set(task_arguments.ApprovalArguments.__annotations__) - AIRFLOWS <= asking


@pytest.mark.parametrize("operator", OPERATORS, ids=lambda operator: operator.__name__)
def test_what_an_operator_hands_on_is_what_those_above_it_take(operator: type[Any]) -> None:
    line = [one for one in operator.__mro__ if "__init__" in one.__dict__ and one is not object]
    first = line[0]
    hints = inspect.get_annotations(first.__dict__["__init__"])
    told = getattr(task_arguments, str(hints["kwargs"]).removeprefix("Unpack[").removesuffix("]"))
    ours = line[1 : line.index(BaseOperator)]
    if not issubclass(operator, OURS):  # Airflow's own, of which ours says a part itself
        return
    assert set(told.__annotations__) - AIRFLOWS == taken(*ours) - taken(first)
