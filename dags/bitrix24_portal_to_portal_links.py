"""Bring the contact links of one portal into another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup, task

from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.matching import MATCHES
from airflow_bitrix.core.migrations import EXTRAS
from airflow_bitrix.operators.link_plans import (
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from airflow_bitrix.pipelines.bounds import WITHIN
from airflow_bitrix.pipelines.carry_out import carry_out
from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS, GUARDS, plan_params

DOC = gettext(
    """
### Bring the contact links of one portal into another

Leads, deals and contacts have been imported into a new portal; which contacts hang on which lead or deal
has not. This DAG reads the links of the old portal, the **source**, and gives the new one, the **target**,
the same: the same contacts in the same order, with the same primary contact. The source is only read.

**How records are found again** (*Match by*)

| | a record of the target belongs to a record of the source where |
|:---|:---|
| `origin` | its `ORIGIN_ID` holds the id in the source, and its `ORIGINATOR_ID` is your *Originator* |
| `same_origin` | both carry the same `ORIGINATOR_ID` and `ORIGIN_ID`: both came from a third system |
| `field` | a custom field, the same for leads, deals and contacts, holds the id in the source |
| `map` | files with the columns `old` and `new` say it: one each for leads, deals and contacts |

**How to run it**

1. Add two connections of type Bitrix24: `bitrix24_source` for the portal that is read, `bitrix24_default`
   for the one that is changed.
2. Trigger the DAG with *Dry run* on, and with *Match by* **Origin** name the *Originator*. The tab *Bitrix24
   report* of the run shows the plan, and `left_out.csv`, to download there, who was left out, and why.
3. Trigger it again with *Dry run* off.
4. While records are still being imported, run it as often as you like. It writes only what is not right
   yet.

| task | what it does, once for leads and once for deals |
|:---|:---|
| *Are they wanted?* | leaves the kind out that *Leads, deals or both* does not name |
| *Make the plan* | reads both portals and writes a plan; parks what cannot be done yet |
| *Ask for approval* | shows the plan under *Required actions* and waits; a dry run asks nobody |
| *Try the first ones* | applies the first few changes; if one fails, nothing else is begun |
| *Apply the plan* | looks at each owner again, writes the change and reads it back; a task for each part |
| *Check and report* | looks once more at all of them, and writes `report.html` and `failed.csv` |
| *Compare what is left* | writes `reconcile.csv`: where the portals differ. After a dry run these are all |

An owner that is not in the target yet, or one of whose contacts is not or cannot be read, is **parked**, and
the next run takes it up again, also where its filter does not find it. Where two records of the target match
one of the source, nobody guesses: it is parked and named. What is parked for another source, target, *Match
by*, *Originator* or *Custom field* is left alone. A dry run takes parked owners up and changes nothing about
them: `plan/parked.jsonl` says who would be parked.

The methods that write links start **no automation**, change no *modified* date and leave no trace in the
timeline. Each portal is asked at its own pace.

An answer is awaited for 72 hours (`[bitrix24] approval_deadline`). Of the runs that write leads, or
deals, of a portal, this DAG's or another's, one does at a time: the others wait for it, for up to twelve
hours. A dry run waits for nobody.

The tab *Bitrix24 report* of a run shows what became of each change, with all files to download. They lie
under `[bitrix24] artifacts_path`; parked owners in the folder `parked` beside those of
the runs, in a file such as `parked-deal.old.bitrix24.com.new.bitrix24.com.1f0c7a2e.jsonl`.
"""
)

form = plan_params()
del form["bitrix24_conn_id"]  # two portals have a section of their own

with DAG(
    dag_id="bitrix24_portal_to_portal_links",
    dag_display_name=gettext("Bitrix24: links from portal to portal"),
    description=gettext("Give leads and deals of one portal the contacts that they have in another."),
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "migration", "leads", "deals"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": form.pop("dry_run"),
        "kinds": Param(
            ["lead", "deal"],
            type="array",
            items={"type": "string", "enum": ["lead", "deal"]},
            examples=["lead", "deal"],
            values_display={"lead": gettext("Leads"), "deal": gettext("Deals")},
            minItems=1,
            title=gettext("Leads, deals or both"),
            description=gettext("Whose links are brought over."),
        ),
        "match": Param(
            "origin",
            type="string",
            enum=list(MATCHES),
            values_display={
                "origin": gettext("Origin: ORIGIN_ID holds the id in the source"),
                "same_origin": gettext("Same origin: both came from a third system"),
                "field": gettext("Field: a custom field holds the id in the source"),
                "map": gettext("Map: files say which is which"),
            },
            title=gettext("Match by"),
            description=gettext(
                "How the target's records are found; see Dag Docs. Origin needs the Originator."
            ),
        ),
        "originator": Param(
            None,
            type=["null", "string"],
            title=gettext("Originator"),
            description=gettext("Needed with Origin: the ORIGINATOR_ID of the target's records."),
        ),
        "match_field": Param(
            None,
            type=["null", "string"],
            title=gettext("Custom field"),
            description=gettext(
                "Needed with Field: the target's field that holds the source's id: ufCrmSourceId."
            ),
            section=gettext("Matching"),
        ),
        "lead_map": Param(
            None,
            type=["null", "string"],
            title=gettext("Map of leads"),
            description=gettext(
                "Needed with Map: path or address of a CSV or JSON Lines file: columns old and new."
            ),
            section=gettext("Matching"),
        ),
        "deal_map": Param(
            None,
            type=["null", "string"],
            title=gettext("Map of deals"),
            description=gettext("Needed with Map: the same for deals."),
            section=gettext("Matching"),
        ),
        "contact_map": Param(
            None,
            type=["null", "string"],
            title=gettext("Map of contacts"),
            description=gettext("Needed with Map: the same for contacts."),
            section=gettext("Matching"),
        ),
        "filter": Param(
            {},
            type=["null", "object"],
            **WITHIN,
            title=gettext("Filter"),
            description=gettext(
                'A crm.item.list filter for the source\'s owners, such as {">id": 5000}; {} for all.'
            ),
            section=gettext("Which links"),
        ),
        "extra": Param(
            "keep",
            type="string",
            enum=list(EXTRAS),
            values_display={
                "keep": gettext("Keep them, behind those of the source"),
                "remove": gettext("Remove them"),
            },
            title=gettext("Links that only the target has"),
            description=gettext(
                "What becomes of them. Removing takes an administrator's webhook of the source."
            ),
            section=gettext("Which links"),
        ),
        "detail": Param(
            "full",
            type="string",
            enum=["full", "ids"],
            values_display={
                "full": gettext("Sort numbers too"),
                "ids": gettext("Contacts, order and primary: far quicker where most is right already"),
            },
            title=gettext("What has to be the same"),
            description=gettext("What is compared of each link, and brought over."),
            section=gettext("Which links"),
        ),
        "source_conn_id": Param(
            "bitrix24_source",
            type="string",
            minLength=1,
            title=gettext("Source"),
            description=gettext("Connection of type Bitrix24 to the portal that is read."),
            section=gettext("Portals"),
        ),
        "bitrix24_conn_id": Param(
            "bitrix24_default",
            type="string",
            minLength=1,
            title=gettext("Target"),
            description=gettext("Connection of type Bitrix24 to the portal that is changed."),
            section=gettext("Portals"),
        ),
        **form,
    },
) as dag:

    @task.short_circuit(task_display_name=gettext("Are they wanted?"), execution_timeout=timedelta(minutes=5))
    def is_wanted(kind: str, params: dict[str, Any] | None = None) -> bool:
        """Leave a kind out."""
        return kind in (params or {})["kinds"]

    for kind in ("lead", "deal"):
        migration: dict[str, Any] = {
            "bitrix24_conn_id": "{{ params.bitrix24_conn_id }}",
            "source_conn_id": "{{ params.source_conn_id }}",
            "migration": "portal_to_portal",
            "kind": kind,
            "match": "{{ params.match }}",
            "originator": "{{ '%r' | format(params.originator or '') }}",  # 1.10 stays a text
            "match_field": "{{ '%r' | format(params.match_field or '') }}",
            "owner_map": f"{{{{ params.{kind}_map or none }}}}",
            "contact_map": "{{ params.contact_map or none }}",
            "filter": "{{ params.filter }}",
            "extra": "{{ params.extra }}",
            "detail": "{{ params.detail }}",
        }
        with TaskGroup(f"{kind}s", group_display_name=kind_words(kind)["kinds"].capitalize()):
            plan = Bitrix24PlanLinkMigrationOperator(
                task_id="plan",
                task_display_name=gettext("Make the plan"),
                execution_timeout=timedelta(hours=4),
                is_dry_run="{{ params.dry_run }}",
                **GUARDS,
                **migration,
            )
            is_wanted(kind) >> plan
            # Whether somebody has to approve is the author's to say. To let whoever triggers the DAG choose:
            # airflow_bitrix.pipelines.approval_form.
            last = carry_out(plan, approval="always", **BY_PARAMS)
            last >> Bitrix24ReconcileContactLinksOperator(
                task_id="compare",
                task_display_name=gettext("Compare what is left"),
                execution_timeout=timedelta(hours=4),
                **migration,
            )
