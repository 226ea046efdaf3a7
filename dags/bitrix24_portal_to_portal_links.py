"""Bring the contact links of one portal into another."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from airflow.sdk import DAG, Param, TaskGroup

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
from airflow_bitrix.pipelines.kinds import (
    branch_to_kinds,
    kind_name,
    kind_title,
    kinds_params,
    kinds_to_choose,
)
from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS, GUARDS, plan_params

SMART_PROCESSES: tuple[int, ...] = ()
"""The ``entityTypeId`` of each smart process whose items are to be asked for as well, such as ``(1036,)``.

It has to be the same in both portals.
"""

KINDS = kinds_to_choose(SMART_PROCESSES)

DOC = gettext(
    """
### Bring the contact links of one portal into another

Leads, deals, companies and contacts have been imported into a new portal; which contacts hang on which of
them has not. This DAG reads the links of the old portal, the **source**, and gives the new one, the
**target**, the same: the same contacts in the same order, with the same primary contact. The source is only
read.

**How records are found again** (*Match by*)

| | a record of the target belongs to a record of the source where |
|:---|:---|
| `origin` | its `ORIGIN_ID` holds the id in the source, and its `ORIGINATOR_ID` is your *Originator* |
| `same_origin` | both carry the same `ORIGINATOR_ID` and `ORIGIN_ID`: both came from a third system |
| `field` | a custom field of one name in all *Kinds* and in contacts holds the id in the source |
| `map` | files with the columns `old` and `new` say it: one for each of the *Kinds*, and one for contacts |

Quotes, invoices and items of smart processes have no `ORIGIN_ID`: they are found by `field` or `map` alone.

**How to run it**

1. Add two connections of type Bitrix24: `bitrix24_source` for the portal that is read, `bitrix24_default`
   for the one that is changed.
2. Trigger the DAG with *Dry run* on, and with *Match by* **Origin** name the *Originator*. The tab *Bitrix24
   report* of the run shows the plan of each kind, and `left_out.csv`, to download there, who was left out,
   and why.
3. Trigger it again with *Dry run* off. **One** question is asked about the plans of all kinds.
4. While records are still being imported, run it as often as you like. It writes only what is not right
   yet.

| task | what it does, once for each kind |
|:---|:---|
| *Which kinds?* | once: goes on to those that are chosen; what is about the others is skipped |
| *Make the plans* | reads both portals and writes a plan; parks what cannot be done yet |
| *Ask for approval* | once for all: shows the plans under *Required actions*, waits; a dry run asks nobody |
| *Try the first ones* | applies the first few changes; if one fails, nothing else of its kind is begun |
| *Apply the plan* | looks at each owner again, writes the change and reads it back; a task for each part |
| *Check and report* | looks once more at all of them, and writes `report.html` and `failed.csv` |
| *Compare what is left* | writes `reconcile.csv`: where the portals differ. After a dry run these are all |

An owner that is not in the target yet, or one of whose contacts is not or cannot be read, is **parked**, and
the next run takes it up again, also where its filter does not find it. Where two records of the target match
one of the source, nobody guesses: it is parked and named. What is parked for another source, target, *Match
by*, *Originator* or *Custom field* is left alone. A dry run takes parked owners up and changes nothing about
them: `plan/parked.jsonl` says who would be parked. Where the plan of one kind fails, nobody is asked about
the others: mend it and clear it.

The methods that write links start **no automation**, change no *modified* date and leave no trace in the
timeline. **Invoices and items of smart processes have no such methods**: they are saved, and refused unless
*Allow saving* is on. Smart processes are asked for once their numbers stand in `SMART_PROCESSES`, in a copy
of this DAG's file; both portals have to have them by the same number. Each portal is asked at its own pace.

An answer is awaited for 72 hours (`[bitrix24] approval_deadline`). Of the runs that write owners of one kind
on a portal, this DAG's or another's, one does at a time: the others wait for it, for up to twelve hours. A
dry run waits for nobody.

The tab *Bitrix24 report* of a run shows what became of each change, with all files to download. They lie
under `[bitrix24] artifacts_path`; parked owners in the folder `parked` beside those of
the runs, in a file such as `parked-deal.old.bitrix24.com.new.bitrix24.com.1f0c7a2e.jsonl`.
"""
)

form = plan_params()
del form["bitrix24_conn_id"]  # two portals have a section of their own

# A field for the map of each kind, such as lead_map.
maps = {
    f"{kind}_map": Param(
        None,
        type=["null", "string"],
        title=gettext("Map of {kinds_of}", **kind_words(kind)),
        description=gettext(
            "Needed with Map: path or address of a CSV or JSON Lines file: columns old and new."
        ),
        section=gettext("Matching"),
    )
    for kind in (*KINDS, "contact")
}

OWNER_MAP = "{{{{ params.{kind}_map or none }}}}"

MIGRATION: dict[str, Any] = {
    "bitrix24_conn_id": "{{ params.bitrix24_conn_id }}",
    "source_conn_id": "{{ params.source_conn_id }}",
    "migration": "portal_to_portal",
    "match": "{{ params.match }}",
    "originator": "{{ '%r' | format(params.originator or '') }}",  # 1.10 stays a text
    "match_field": "{{ '%r' | format(params.match_field or '') }}",
    "contact_map": "{{ params.contact_map or none }}",
    "filter": "{{ params.filter }}",
    "extra": "{{ params.extra }}",
    "detail": "{{ params.detail }}",
}

with DAG(
    dag_id="bitrix24_portal_to_portal_links",
    dag_display_name=gettext("Bitrix24: links from portal to portal"),
    description=gettext("Give the owners of one portal the contacts that they have in another."),
    doc_md=DOC,
    schedule=None,
    start_date=datetime(2026, 1, 5, tzinfo=UTC),
    catchup=False,
    render_template_as_native_obj=True,
    default_args={"owner": "bitrix24", "retries": 2, "retry_delay": timedelta(minutes=2)},
    tags=["bitrix24", "migration", "leads", "deals", "quotes", "companies"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "dry_run": form.pop("dry_run"),
        **kinds_params(KINDS, ("lead", "deal")),
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
        **maps,
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
    plans: dict[str, Bitrix24PlanLinkMigrationOperator] = {}
    with TaskGroup("plans", group_display_name=gettext("Make the plans")):
        for kind in KINDS:
            plans[kind] = Bitrix24PlanLinkMigrationOperator(
                task_id=kind_name(kind),
                task_display_name=kind_title(kind),
                execution_timeout=timedelta(hours=4),
                kind=kind,
                owner_map=OWNER_MAP.format(kind=kind),
                is_dry_run="{{ params.dry_run }}",
                allow_saving="{{ params.allow_saving }}",
                **GUARDS,
                **MIGRATION,
            )
    branch_to_kinds(plans)
    # One question for all of them. Whether somebody has to approve is the author's to say. To let whoever
    # triggers the DAG choose: airflow_bitrix.pipelines.approval_form.
    checks = carry_out(list(plans.values()), approval="always", **BY_PARAMS)
    for kind, check in zip(plans, checks, strict=True):
        compare = Bitrix24ReconcileContactLinksOperator(
            task_id="compare",
            task_display_name=gettext("Compare what is left"),
            task_group=check.task_group,
            execution_timeout=timedelta(hours=4),
            kind=kind,
            owner_map=OWNER_MAP.format(kind=kind),
            **MIGRATION,
        )
        check >> compare
