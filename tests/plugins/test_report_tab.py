"""The plugin, and the links on task instances."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from airflow.models.taskinstancekey import TaskInstanceKey
from airflow.providers_manager import ProvidersManager

from airflow_bitrix.links import TAB_ROUTE, Bitrix24OwnerLink, Bitrix24ReportLink
from airflow_bitrix.operators import contact_links, link_plans
from airflow_bitrix.operators.link_apply import Bitrix24ApplyLinkPlanOperator
from airflow_bitrix.operators.shared.pipeline import LinkPlanOperator
from airflow_bitrix.plugins.report_tab import PREFIX, Bitrix24ReportPlugin
from airflow_bitrix.sandbox.server import Sandbox

ROOT = Path(__file__).parents[2]
KEY = TaskInstanceKey("dag", "plan", "manual__2026-11-21T10:00:00+00:00", 1, -1)


def test_the_tab_is_one_of_a_dag_run_and_its_address_is_relative() -> None:
    (view,) = Bitrix24ReportPlugin.external_views
    assert view["destination"] == "dag_run"
    assert view["url_route"] == TAB_ROUTE
    assert view["href"] == "bitrix24/report/{DAG_ID}/{RUN_ID}/"
    (app,) = Bitrix24ReportPlugin.fastapi_apps
    assert app["url_prefix"] == PREFIX == "/bitrix24"


def test_the_package_names_the_plugin_to_airflow() -> None:
    named = '[project.entry-points."airflow.plugins"]\nairflow_bitrix = '
    assert (
        named + '"airflow_bitrix.plugins.report_tab:Bitrix24ReportPlugin"'
        in (ROOT / "pyproject.toml").read_text()
    )


def test_the_plugin_loads_nothing_that_only_its_routes_need() -> None:
    """Every process of Airflow imports it: scheduler, workers, triggerer."""
    asked = (
        "import json, sys; import airflow.plugins_manager; before = set(sys.modules);"
        "import airflow.providers.common.compat.sdk, airflow.sdk; BaseLink = airflow.sdk.BaseOperatorLink;"
        "before = set(sys.modules); import airflow_bitrix.plugins.report_tab;"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    told = subprocess.run([sys.executable, "-c", asked], check=True, capture_output=True, text=True, cwd=ROOT)
    loaded = json.loads(told.stdout.splitlines()[-1])
    assert [name for name in loaded if not name.startswith("airflow_bitrix")] == []
    assert len({*loaded} - {"airflow_bitrix"}) <= 5  # that one Airflow 3.2 and later have loaded before


def test_each_pipeline_operator_links_to_the_report() -> None:
    operators = [getattr(link_plans, name) for name in link_plans.__all__]
    pipeline = [operator for operator in operators if issubclass(operator, LinkPlanOperator)]
    assert len(pipeline) >= len(operators) - 1, "all but the one that asks a person"
    for operator in pipeline:
        assert [link.name for link in operator.operator_extra_links] == ["Report"], operator


@pytest.mark.parametrize(
    ("plan", "map_index", "shown"),
    [
        ("/root/dag/run/leads.plan/plan", -1, "leads.plan"),
        (None, -1, "plan"),
        (None, 3, "plan.3"),
    ],
)
def test_the_report_link_names_the_task_that_it_is_about(plan: Any, map_index: int, shown: str) -> None:
    """What carries a plan out names the task that made it; all others name themselves."""
    given = {"plan": plan, "hash": "0"} if plan else "a folder"
    apply = Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=given)
    key = TaskInstanceKey("dag", "plan", "manual__2026-11-21T10:00:00+00:00", 1, map_index)
    assert Bitrix24ReportLink().get_link(apply, ti_key=key) == (
        f"dags/dag/runs/manual__2026-11-21T10%3A00%3A00%2B00%3A00/plugin/{TAB_ROUTE}?task={shown}"
    )


THIRTY = [
    getattr(contact_links, name)
    for name in contact_links.__all__
    if name not in ("Bitrix24Operator", "Bitrix24MethodOperator")
]

CARDS = {
    "lead": "crm/lead/details/3/",
    "deal": "crm/deal/details/3/",
    "quote": "crm/type/7/details/3/",
    "company": "crm/company/details/3/",
    "contact": "crm/contact/details/3/",
}


@pytest.fixture(scope="module")
def portal() -> Iterator[str]:
    """The address of a sandbox behind the connection."""
    with (
        pytest.MonkeyPatch.context() as environment,
        Sandbox(leads=5, deals=5, quotes=5, companies=5, contacts=5, plan="self_hosted") as sandbox,
    ):
        connection = {"conn_type": "bitrix24", "password": sandbox.webhook_url}
        environment.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(connection))
        yield sandbox.base_url


@pytest.mark.parametrize("operator", THIRTY, ids=[operator.__name__ for operator in THIRTY])
def test_each_link_operator_links_to_its_card(operator: Any, portal: str) -> None:
    given = {"owner_id": "3", "contact_id": 2, "company_id": 2, "items": [2]}
    needed = {name: value for name, value in given.items() if name in operator.template_fields}
    task = operator(task_id="task", **needed)
    (link,) = task.operator_extra_links
    assert (link.name, link.get_link(task, ti_key=KEY)) == ("Open in Bitrix24", ""), "nothing before it works"
    task.execute({})
    kind = operator.api_method.split(".")[1]
    page = CARDS[kind] if needed else f"crm/{kind}/list/"
    assert link.get_link(task, ti_key=KEY) == f"{portal}/{page}"
    assert requests.get(f"{portal}/{page}", timeout=10).status_code == 200


def test_airflow_knows_the_links_as_it_reads_them_back_from_its_database() -> None:
    known = set(ProvidersManager().extra_links_class_names)  # type: ignore[no-untyped-call]
    for link in (Bitrix24ReportLink, Bitrix24OwnerLink):
        assert f"{link.__module__}.{link.__name__}" in known
