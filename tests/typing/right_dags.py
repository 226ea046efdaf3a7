"""Calls that authors write, and that a type checker has to let pass: ``make lint`` reads this file."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_bitrix.core.method_results import CompanyLinkItem, LinkItem
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.operators.contact_links import (
    Bitrix24CompanyContactAddOperator,
    Bitrix24ContactCompanyAddOperator,
    Bitrix24ContactCompanyItemsSetOperator,
    Bitrix24DealContactDeleteOperator,
    Bitrix24LeadContactAddOperator,
    Bitrix24LeadContactItemsGetOperator,
    Bitrix24LeadContactItemsSetOperator,
    Bitrix24MethodOperator,
)
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24ApproveLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24PlanLinkRestoreOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from airflow_bitrix.sensors.contact_links import Bitrix24ContactLinksSensor
from airflow_bitrix.sensors.records import Bitrix24RecordsSensor


def told(context: Any) -> None:
    """Be a callback."""


with DAG("right", schedule=None, start_date=datetime(2026, 1, 1)):  # noqa: DTZ001 (Airflow reads it as UTC)

    @task
    def lead() -> int:
        """Find a lead."""
        return 1

    found = lead()
    read = Bitrix24LeadContactItemsGetOperator(task_id="read", owner_id=found, pool="portal", retries=3)
    add = Bitrix24LeadContactAddOperator(
        task_id="add", owner_id="{{ params.lead }}", contact_id=7, sort=10, is_primary=True
    )
    Bitrix24LeadContactItemsSetOperator(task_id="write", owner_id=1, items=read.output)
    Bitrix24LeadContactItemsSetOperator(task_id="write_two", owner_id=1, items=[7, {"CONTACT_ID": 8}])
    Bitrix24DealContactDeleteOperator.partial(task_id="mapped", contact_id=7).expand(owner_id=[1, 2])
    Bitrix24CompanyContactAddOperator(task_id="hire", owner_id=found, contact_id=7, is_primary="Y")
    Bitrix24ContactCompanyAddOperator(task_id="employ", owner_id=7, company_id="{{ params.company }}", sort=5)
    Bitrix24ContactCompanyItemsSetOperator(task_id="employers", owner_id=7, items=[{"COMPANY_ID": 3}, 4])
    Bitrix24MethodOperator(task_id="any", api_method="crm.status.list", api_params={"order": {"ID": "ASC"}})
    Bitrix24ContactLinksSensor(
        task_id="linked", owner_id=found, has=[7, "8"], deferrable=True, soft_fail=True
    )
    Bitrix24ContactLinksSensor(
        task_id="sole", kind="deal", owner_id=1, exactly="{{ params.contact }}", primary=7, mode="reschedule"
    )
    Bitrix24RecordsSensor(
        task_id="many",
        filter={"stageId": "NEW"},
        at_least=found,
        timeout=3600,
        poke_interval=timedelta(minutes=5),
    )
    plan = Bitrix24PlanLinkCleanupOperator(
        task_id="plan",
        rules=["release_repeat_leads"],
        max_share=0.2,
        artifacts_path="s3://aws_default@bucket/bitrix24",
        execution_timeout=timedelta(hours=4),
        on_failure_callback=[told],
    )
    ask = Bitrix24ApproveLinkPlanOperator(task_id="ask", plan=plan.output, valid_for=timedelta(hours=1))
    canary = Bitrix24CanaryLinkPlanOperator(task_id="canary", plan=ask.output, first=10, max_failed=0)
    apply = Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=ask.output, deferrable=False)
    Bitrix24CheckLinkPlanOperator(task_id="check", plan=ask.output, trigger_rule="all_done")
    Bitrix24PlanLinkMigrationOperator(
        task_id="move", migration="contact_map", contact_map={1: 2}, max_changes=9
    )
    Bitrix24ReconcileContactLinksOperator(task_id="compare", migration="contact_map", contact_map=found)
    Bitrix24PlanLinkRestoreOperator(task_id="restore", journal="runs/one", max_changes=None)
    Bitrix24ExportContactLinksOperator(task_id="export", kind="deal", outlets=[], doc_md="Links")


@task
def primaries(owner_id: int) -> list[int]:
    """Use a hook in a task of one's own."""
    rows = Bitrix24Hook().call("crm.lead.contact.items.get", {"id": owner_id})
    first: LinkItem = rows[0]
    changed: bool = Bitrix24Hook().call("crm.lead.contact.add", {"id": owner_id})
    title: str = Bitrix24Hook().call("crm.deal.contact.fields")["SORT"]["title"]
    anything: int = Bitrix24Hook().call("crm.lead.add")
    employer: CompanyLinkItem = Bitrix24Hook().call("crm.contact.company.items.get", {"id": 7})[0]
    quoted: LinkItem = Bitrix24Hook().call("crm.quote.contact.items.get", {"id": 7})[0]
    moved: bool = Bitrix24Hook().call("crm.company.contact.items.set", {"id": 3})
    found = [first["CONTACT_ID"], changed, len(title), anything, employer["COMPANY_ID"]]
    return [*found, quoted["CONTACT_ID"], moved]
