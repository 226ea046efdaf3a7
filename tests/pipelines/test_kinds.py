"""One run over several kinds: what a form offers, how tasks are called, and which of them go on."""

from __future__ import annotations

from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import DAG, TaskGroup

from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.pipelines.kinds import (
    BY_LINKS,
    branch_to_kinds,
    kind_name,
    kinds_param,
    kinds_params,
    kinds_to_choose,
)

KINDS = kinds_to_choose((1036, 128))
IDS = ("leads", "deals", "quotes", "companies", "invoices", "smart_process_1036", "smart_process_128")


def test_a_form_offers_what_every_portal_has_and_the_smart_processes_that_are_named() -> None:
    assert KINDS == ("lead", "deal", "quote", "company", "smart_invoice", "dynamic_1036", "dynamic_128")
    assert kinds_to_choose() == KINDS[:5]
    assert tuple(map(kind_name, KINDS)) == IDS
    assert kind_name("dynamic") == "smart_process"


def test_what_is_saved_is_chosen_by_nobody_else_than_a_person() -> None:
    params = kinds_params(KINDS)
    assert tuple(params["kinds"].value) == BY_LINKS
    assert params["allow_saving"].value is False
    param = kinds_param(KINDS, ("lead",), "Whose links are read.")
    assert (param.value, param.description) == (["lead"], "Whose links are read.")
    assert set(param.schema["values_display"]) == set(KINDS)
    assert param.resolve(["quote", "dynamic_128"])
    for wrong in ([], ["dynamic_130"], "lead", None):
        with pytest.raises(ParamValidationError):
            param.resolve(wrong)


@pytest.mark.parametrize(
    ("how", "found"),
    [
        ({}, ["plans.quotes", "plans.smart_process_1036"]),
        ({"wanted": lambda context: {"lead", context["ds"]}}, ["plans.leads", "plans.deals"]),
    ],
)
def test_what_goes_on_are_the_kinds_that_are_wanted(how: dict[str, Any], found: list[str]) -> None:
    with DAG("mine", schedule=None) as dag:
        with TaskGroup("plans"):
            plans = {
                kind: Bitrix24PlanLinkCleanupOperator(
                    task_id=kind_name(kind), kind=kind, rules=["remove_dangling"], allow_saving=True
                )
                for kind in KINDS
            }
        branch_to_kinds(plans, **how)
    branch: Any = dag.get_task("chosen")
    assert branch.downstream_task_ids == {f"plans.{one}" for one in IDS}
    context = {"params": {"kinds": ["dynamic_1036", "quote"]}, "ds": "deal"}
    assert branch.python_callable(**context) == found
