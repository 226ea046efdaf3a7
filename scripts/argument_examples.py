"""Examples of arguments that an author writes otherwise than the probes do, or that come from somewhere."""

from __future__ import annotations

from collections.abc import Mapping

EXAMPLES: Mapping[str, str] = {
    "api_method": '`"crm.lead.get"`',
    "api_params": '`{"id": 5}`',
    "applied_by": "what `carry_out` was given, such as `canary`; it tells the approval",
    "artifacts_path": '`"/opt/airflow/bitrix24-of-sales"`, `"s3://aws_default@bucket/sales"`',
    "assigned_users": '`[{"id": "7", "name": "olga"}]`',
    "Bitrix24ContactCompanyItemsSetOperator.items": '`[4, {"COMPANY_ID": 9, "IS_PRIMARY": "Y"}]`',
    "Bitrix24PlanLinkRestoreOperator.plan": "the folder of a plan that does not lie beside its journal",
    "bitrix24_conn_id": '`"bitrix24_default"`',
    "compare_with": '`"previous"`: the snapshot that this task made last',
    "contact_map": '`{17: 23}`, or `{"17": 23}` from a form: 23 takes the place of 17',
    "contact_map_file": '`"/opt/airflow/bitrix24-maps/merged.csv"`, with a row `17,23`',
    "created_from": '`"2026-11-01"`, `"{{ ds }}"`',
    "created_to": '`"2026-11-30"`',
    "execution_timeout": "`timedelta(hours=1)`",
    "filter": '`{"categoryId": 3}` of deals: those of pipeline 3; `{"assignedById": 7}`',
    "items": '`[17, {"CONTACT_ID": 23, "IS_PRIMARY": "Y"}]`',
    "journal": "the `output` of the apply or the check, or the folder that the run's report names",
    "match_field": '`"ufCrmSourceId"`',
    "migration": '`"contact_map"`',
    "notifiers": "`[SlackNotifier(…)]`",
    "notify": "`Bitrix24Notifier(users=[7])`",
    "originator": '`"OLD"`',
    "owner_id": '`5`, `"{{ params.deal_id }}"`, `task.output`',
    "owner_map": '`"/opt/airflow/bitrix24-maps/deals.csv"`, with a row `5,905`',
    "owners": "`[5, 7]`",
    "owners_file": '`"/opt/airflow/bitrix24/…/plan/failed.csv"`: what an earlier run left open',
    "parked_path": '`"/opt/airflow/bitrix24-parked"`',
    "part": "`Bitrix24ApplyLinkPlanOperator.partial(…).expand(part=canary.output)`, as `carry_out` does",
    "plan": "`plan.output`, of the task that made it; `approve.output`, of the one that asks",
    "plan_hash": '`plan.output["hash"]`; of an earlier run, the `plan` in its `approval.json`',
    "portals": '`["https://acme.bitrix24.com"]`',
    "response_timeout": "`timedelta(hours=8)`",
    "rules": '`["release_repeat_leads", "fix_primary"]`',
    "snapshot": "the `output` of the export, or the folder of a snapshot",
    "source_conn_id": '`"bitrix24_old_portal"`',
    "stages": '`["NEW"]`; `["C3:NEW"]` for deals of pipeline 3',
}
