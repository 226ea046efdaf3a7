"""Removal of what runs have left long ago."""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.operators.housekeeping import Bitrix24HousekeepingOperator
from airflow_bitrix.pipelines.bounds import between

DOC = gettext(
    """
### Remove what runs have left

Each run leaves its plan, journal, snapshots and reports under `[bitrix24] artifacts_path`, for ever. This DAG
removes what nothing was written to for so many days. What stays, however old it is: a plan that waits for
approval or may still be applied by one, what a task is at, the last snapshot of each kind, and what is not of
this package.

| task | what it does |
|:---|:---|
| *Remove what is old* | looks at all folders, and removes those that are old |

**A run that is gone cannot be taken back any more**, and its tab shows nothing. The log names each folder,
and says how much that frees. *Dry run* is on unless you turn it off.

With *Names only* runs stay, and can be taken back: they lose only the names of owners and contacts,
which are personal data. Their tab then shows ids.
"""
)

with DAG(
    dag_id="bitrix24_housekeeping",
    dag_display_name=gettext("Bitrix24: remove what old runs left"),
    description=gettext(
        "Remove folders of runs, snapshots and parked owners that are older than so many days."
    ),
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 1, "retry_delay": timedelta(minutes=5)},
    tags=["bitrix24", "housekeeping"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": Param(
            default=True,
            type="boolean",
            title=gettext("Dry run"),
            description=gettext("Say only what would be removed."),
        ),
        "keep_days": Param(
            None,
            type=["null", "integer"],
            **between(1, 36_500),
            title=gettext("Days to keep"),
            description=gettext("Empty for [bitrix24] keep_days, by default 90."),
        ),
        "only_names": Param(
            default=False,
            type="boolean",
            title=gettext("Names only"),
            description=gettext(
                "Remove only the names of owners and contacts, and the reports that show them. What a "
                "restore needs stays."
            ),
        ),
    },
) as dag:
    Bitrix24HousekeepingOperator(
        task_id="keep_house",
        task_display_name=gettext("Remove what is old"),
        execution_timeout=timedelta(hours=2),
        keep_days="{{ params.keep_days }}",
        is_dry_run="{{ params.dry_run }}",
        only_names="{{ params.only_names }}",
    )
