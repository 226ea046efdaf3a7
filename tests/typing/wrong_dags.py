"""Calls that a type checker has to refuse: ``make lint`` fails where one of these passes.

mypy reports an ``ignore`` that nothing needs.
"""

from __future__ import annotations

from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.operators.contact_links import (
    Bitrix24CompanyContactAddOperator,
    Bitrix24ContactCompanyAddOperator,
    Bitrix24ContactCompanyDeleteOperator,
    Bitrix24LeadContactAddOperator,
    Bitrix24LeadContactFieldsOperator,
    Bitrix24LeadContactItemsGetOperator,
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


def names() -> None:
    """Give arguments that no operator has, and leave out what one needs."""
    Bitrix24LeadContactItemsGetOperator(task_id="a", owner_ids=1)  # type: ignore[call-arg]
    Bitrix24LeadContactItemsGetOperator(owner_id=1)  # type: ignore[call-arg]
    Bitrix24LeadContactAddOperator(task_id="a", contact_id=1)  # type: ignore[call-arg]
    Bitrix24CompanyContactAddOperator(task_id="a", owner_id=1, company_id=1)  # type: ignore[call-arg]
    Bitrix24ContactCompanyAddOperator(task_id="a", owner_id=1, contact_id=1)  # type: ignore[call-arg]
    Bitrix24ContactCompanyDeleteOperator(task_id="a", owner_id=1, contact_id=1)  # type: ignore[call-arg]
    Bitrix24LeadContactFieldsOperator(task_id="a", owner_id=1)  # type: ignore[call-arg]
    Bitrix24PlanLinkCleanupOperator(task_id="a", rule="fix_primary")  # type: ignore[call-arg]
    Bitrix24ApproveLinkPlanOperator(task_id="a", plan={}, approvers=[])  # type: ignore[call-arg]
    Bitrix24CanaryLinkPlanOperator(task_id="a", plan={}, firsts=1)  # type: ignore[call-arg]
    Bitrix24ApplyLinkPlanOperator(task_id="a", plan={}, dry_run=False)  # type: ignore[call-arg]
    Bitrix24CheckLinkPlanOperator(task_id="a", plan={}, canary=1)  # type: ignore[call-arg]
    Bitrix24PlanLinkMigrationOperator(task_id="a", migration="m", max_change=1)  # type: ignore[call-arg]
    Bitrix24ReconcileContactLinksOperator(task_id="a", migration="m", max_changes=1)  # type: ignore[call-arg]
    Bitrix24PlanLinkRestoreOperator(task_id="a", journals="x")  # type: ignore[call-arg]
    Bitrix24ExportContactLinksOperator(task_id="a", format="csv")  # type: ignore[call-arg]
    Bitrix24ContactLinksSensor(task_id="a", owner_ids=[1])  # type: ignore[call-arg]
    Bitrix24RecordsSensor(task_id="a", count=1)  # type: ignore[call-arg]


def values() -> None:
    """Give values of other types."""
    Bitrix24LeadContactItemsGetOperator(task_id=1, owner_id=1)  # type: ignore[arg-type]
    Bitrix24LeadContactItemsGetOperator(task_id="a", owner_id=1.5)  # type: ignore[arg-type]
    Bitrix24CompanyContactAddOperator(task_id="a", owner_id=1, contact_id=1, sort=1.5)  # type: ignore[arg-type]
    Bitrix24LeadContactItemsGetOperator(task_id="a", owner_id=1, retries="3")  # type: ignore[arg-type]
    Bitrix24LeadContactItemsGetOperator(task_id="a", owner_id=1, bitrix24_conn_id=None)  # type: ignore[arg-type]
    Bitrix24PlanLinkCleanupOperator(task_id="a", rules=["fix_primary"], max_share=[1])  # type: ignore[arg-type]
    Bitrix24ContactLinksSensor(task_id="a", owner_id=1, has=1.5)  # type: ignore[arg-type]
    Bitrix24RecordsSensor(task_id="a", poke_interval="60")  # type: ignore[arg-type]


def results() -> None:
    """Take results for something else."""
    rows = Bitrix24Hook().call("crm.lead.contact.items.get")
    rows[0]["CONTACT"]  # type: ignore[typeddict-item]
    Bitrix24Hook().call("crm.contact.company.items.get")[0]["CONTACT_ID"]  # type: ignore[typeddict-item]
    Bitrix24Hook().call("crm.company.contact.items.get")[0]["COMPANY_ID"]  # type: ignore[typeddict-item]
    rows["result"]  # type: ignore[call-overload]
    Bitrix24Hook().call("crm.lead.contact.add")["result"]  # type: ignore[index]
