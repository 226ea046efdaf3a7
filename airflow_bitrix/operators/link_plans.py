"""Link work in bulk: snapshots, plans, applying exactly a plan, telling what became of it.

Each operator has a module of its own; this one gathers them, for DAG authors to import from.
"""

from __future__ import annotations

from airflow_bitrix.operators.link_apply import Bitrix24ApplyLinkPlanOperator
from airflow_bitrix.operators.link_approval import Bitrix24ApproveLinkPlanOperator
from airflow_bitrix.operators.link_canary import Bitrix24CanaryLinkPlanOperator
from airflow_bitrix.operators.link_check import Bitrix24CheckLinkPlanOperator
from airflow_bitrix.operators.link_cleanup import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.operators.link_migration import Bitrix24PlanLinkMigrationOperator
from airflow_bitrix.operators.link_reconcile import Bitrix24ReconcileContactLinksOperator
from airflow_bitrix.operators.link_restore import Bitrix24PlanLinkRestoreOperator
from airflow_bitrix.operators.link_snapshots import Bitrix24ExportContactLinksOperator

__all__ = [
    "Bitrix24ApplyLinkPlanOperator",
    "Bitrix24ApproveLinkPlanOperator",
    "Bitrix24CanaryLinkPlanOperator",
    "Bitrix24CheckLinkPlanOperator",
    "Bitrix24ExportContactLinksOperator",
    "Bitrix24PlanLinkCleanupOperator",
    "Bitrix24PlanLinkMigrationOperator",
    "Bitrix24PlanLinkRestoreOperator",
    "Bitrix24ReconcileContactLinksOperator",
]
