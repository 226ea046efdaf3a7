"""Clean up the contact links of those leads whose links have changed, as soon as a snapshot tells so."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, task

from airflow_bitrix.assets.portals import links_seen
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.operators.link_plans import Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.pipelines.trigger_forms import (
    BY_PARAMS,
    GUARDS,
    RULE_OPTIONS,
    plan_params,
    rule_option_params,
    rules_param,
)

DOC = gettext(
    """
### Clean up where links have changed

Bitrix24 tells nobody when a contact is linked or unlinked. The DAG `bitrix24_link_snapshot` finds it out by
comparing two nights, and tells Airflow; this DAG begins then, and looks at those leads alone that are in
`changed.csv` of that night. A night in which no link of a lead has changed starts nothing.

| task | what it does |
|:---|:---|
| *What has changed* | takes the file of changes from the event; by hand, or after several nights, all leads |
| *Make the plan* | looks at these leads and writes a plan: each change with its links before and after |
| *Ask for approval* | shows the plan under *Required actions*, waits until somebody approves or rejects it |
| *Try the first ones*, *Apply the plan*, *Check and report* | carry the plan out, as the other clean-ups do |

What this DAG changes itself starts it no second time: it is told by another alias of the same asset. Runs
are dry runs until you change the default of `dry_run` in the DAG file. Unpause `bitrix24_link_snapshot`, too.
To be started by the changes of one portal alone, write `schedule=[links_asset("acme.bitrix24.com", "lead")]`,
which hears of what applies change as well.
"""
)

form = plan_params()

with DAG(
    dag_id="bitrix24_links_changed_cleanup",
    dag_display_name=gettext("Bitrix24: clean up where links have changed"),
    description=gettext("On the event of a snapshot: plan, approve, apply, check."),
    doc_md=DOC,
    schedule=[links_seen("lead")],
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "clean-up", "leads"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": form.pop("dry_run"),
        "rules": rules_param("lead", ["release_repeat_leads"]),
        **rule_option_params(),
        **form,
    },
) as dag:

    @task(task_display_name=gettext("What has changed"), execution_timeout=timedelta(minutes=5))
    def changed(triggering_asset_events: Mapping[Any, Sequence[Any]] | None = None) -> str | None:
        """Give the file of what has changed; ``None`` where there is none, or several, for all leads."""
        told = (triggering_asset_events or {}).values()
        files = {event.extra["changed_csv"] for events in told for event in events}
        return files.pop() if len(files) == 1 else None

    plan = Bitrix24PlanLinkCleanupOperator(
        task_id="plan",
        task_display_name=gettext("Make the plan"),
        execution_timeout=timedelta(hours=4),
        bitrix24_conn_id="{{ params.bitrix24_conn_id }}",
        kind="lead",
        rules="{{ params.rules }}",
        rule_options=RULE_OPTIONS,
        owners_file=changed(),
        **GUARDS,
    )
    carry_out(plan, approval="always", **BY_PARAMS)
