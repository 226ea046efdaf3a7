"""Each link operator of leads and deals once, on a lead and a deal that end as they began."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any, NoReturn

from airflow.sdk import DAG, Param, chain, get_current_context, task, task_group

from airflow_bitrix.compat import AirflowFailException
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.operators.contact_links import (
    Bitrix24DealContactAddOperator,
    Bitrix24DealContactDeleteOperator,
    Bitrix24DealContactFieldsOperator,
    Bitrix24DealContactItemsDeleteOperator,
    Bitrix24DealContactItemsGetOperator,
    Bitrix24DealContactItemsSetOperator,
    Bitrix24LeadContactAddOperator,
    Bitrix24LeadContactDeleteOperator,
    Bitrix24LeadContactFieldsOperator,
    Bitrix24LeadContactItemsDeleteOperator,
    Bitrix24LeadContactItemsGetOperator,
    Bitrix24LeadContactItemsSetOperator,
)
from airflow_bitrix.pipelines.bounds import between

DOC = gettext(
    """
### A tour of the link methods of leads and deals

Give a lead, a deal, and a contact that is linked to neither. Each task's log says in a line what came of it.
For the lead, then for the deal:

| task | method | what happens |
|:---|:---|:---|
| *Are they there?* | | once, ahead of all: fails where lead, deal or contact does not exist |
| *Describe the fields* | `crm.*.contact.fields` | the link's fields are described |
| *Read the links* | `crm.*.contact.items.get` | the links are read and kept |
| *Can they be brought back?* | | fails where the links could not be brought back exactly |
| *Clear the links* | `crm.*.contact.items.delete` | all links go |
| *Link the contact* | `crm.*.contact.add` | the contact is linked |
| *Bring the links back* | `crm.*.contact.items.set` | the kept links come back, with sort and primary |
| *Unlink the contact* | `crm.*.contact.delete` | the contact is unlinked; `False` where that was so already |
| *Are they what they were?* | | fails where the links differ from those that were kept |

**Use records that nobody works on**: for a moment they have no contacts. Should the run end there, the links
stand in the XCom of *Read the links*, and clearing *Bring the links back* brings them back.
"""
)


log = logging.getLogger(__name__)


def refuse(sentence: str) -> NoReturn:
    """Fail for good, with the sentence in a line of its own ahead of the traceback."""
    log.error(sentence)
    raise AirflowFailException(sentence)


@task(task_display_name=gettext("Are they there?"))
def check_records(lead_id: int, deal_id: int, contact_id: int) -> None:
    """Fail where one of them does not exist: the portal reads and clears links of a lead that is none."""
    hook = Bitrix24Hook(get_current_context()["params"]["bitrix24_conn_id"])
    missing = {
        1: (lead_id, gettext_noop("there is no lead {number}, or the webhook's user may not read it")),
        2: (deal_id, gettext_noop("there is no deal {number}, or the webhook's user may not read it")),
        3: (contact_id, gettext_noop("there is no contact {number}, or the webhook's user may not read it")),
    }
    for type_id, (number, sentence) in missing.items():
        asked = {"entityTypeId": type_id, "filter": {"id": number}, "select": ["id"]}
        if not hook.call("crm.item.list", asked)["items"]:
            refuse(gettext(sentence, number=str(number)))


@task(task_display_name=gettext("Can they be brought back?"))
def check_start(links: list[dict[str, Any]], contact_id: int) -> None:
    """Fail where ``items.set`` and ``delete`` could not bring the links back exactly."""
    if contact_id in [link["CONTACT_ID"] for link in links]:
        refuse(
            gettext(
                "contact_id: {contact_id} is linked already; accepted: a contact that is not",
                contact_id=str(contact_id),
            )
        )
    odd = [link for link in links if link["SORT"] <= 0 or link["ROLE_ID"]]
    if odd or (links and [link["IS_PRIMARY"] for link in links].count("Y") != 1):
        refuse(
            gettext(
                "{links} cannot be brought back exactly; accepted: a record whose links all have a "
                "SORT above 0, no ROLE_ID, and one primary among them",
                links=links,
            )
        )


@task(task_display_name=gettext("Are they what they were?"))
def check_end(method: str, owner_id: int, links: list[dict[str, Any]]) -> None:
    """Fail where the links are not what they were."""
    conn_id = get_current_context()["params"]["bitrix24_conn_id"]
    now = Bitrix24Hook(conn_id).call(method, {"id": owner_id})
    if now != links:
        refuse(gettext("the links were {links} and are {now}", links=links, now=now))


with DAG(
    dag_id="bitrix24_link_methods_tour",
    dag_display_name=gettext("Bitrix24: tour of the link methods"),
    description=gettext("Each link operator of leads and deals once; the records end as they began."),
    doc_md=DOC,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    render_template_as_native_obj=True,
    default_args={
        "owner": "bitrix24",
        "retries": 3,
        "retry_delay": timedelta(seconds=20),
        "execution_timeout": timedelta(minutes=30),
        "bitrix24_conn_id": "{{ params.bitrix24_conn_id }}",
    },
    tags=["bitrix24", "tour", "leads", "deals"],
    owner_links={"bitrix24": "https://apidocs.bitrix24.com/"},
    params={
        "lead_id": Param(
            type="integer",
            **between(1, 2**31 - 1),
            title=gettext("Lead"),
            description=gettext("Id of a lead that nobody works on."),
        ),
        "deal_id": Param(
            type="integer",
            **between(1, 2**31 - 1),
            title=gettext("Deal"),
            description=gettext("Id of a deal that nobody works on."),
        ),
        "contact_id": Param(
            type="integer",
            **between(1, 2**31 - 1),
            title=gettext("Contact"),
            description=gettext("Id of a contact that is linked to neither of them."),
        ),
        "bitrix24_conn_id": Param(
            "bitrix24_default",
            type="string",
            minLength=1,
            title=gettext("Connection"),
            description=gettext("Connection of type Bitrix24."),
        ),
    },
) as dag:
    lead, deal, guest = "{{ params.lead_id }}", "{{ params.deal_id }}", "{{ params.contact_id }}"

    @task_group(group_id="lead", group_display_name=gettext("Lead"))
    def tour_lead() -> None:
        """Tour the methods of a lead."""
        fields = Bitrix24LeadContactFieldsOperator(
            task_id="fields", task_display_name=gettext("Describe the fields")
        )
        kept = Bitrix24LeadContactItemsGetOperator(
            task_id="items_get", task_display_name=gettext("Read the links"), owner_id=lead
        )
        clear = Bitrix24LeadContactItemsDeleteOperator(
            task_id="items_delete", task_display_name=gettext("Clear the links"), owner_id=lead
        )
        add = Bitrix24LeadContactAddOperator(
            task_id="add", task_display_name=gettext("Link the contact"), owner_id=lead, contact_id=guest
        )
        back = Bitrix24LeadContactItemsSetOperator(
            task_id="items_set",
            task_display_name=gettext("Bring the links back"),
            owner_id=lead,
            items="{{ ti.xcom_pull(task_ids='lead.items_get') or [params.contact_id] }}",
        )
        delete = Bitrix24LeadContactDeleteOperator(
            task_id="delete", task_display_name=gettext("Unlink the contact"), owner_id=lead, contact_id=guest
        )
        end = check_end("crm.lead.contact.items.get", lead, kept.output)  # type: ignore[arg-type]
        chain(fields, kept, check_start(kept.output, guest), clear, add, back, delete, end)  # type: ignore[arg-type]

    @task_group(group_id="deal", group_display_name=gettext("Deal"))
    def tour_deal() -> None:
        """Tour the methods of a deal."""
        fields = Bitrix24DealContactFieldsOperator(
            task_id="fields", task_display_name=gettext("Describe the fields")
        )
        kept = Bitrix24DealContactItemsGetOperator(
            task_id="items_get", task_display_name=gettext("Read the links"), owner_id=deal
        )
        clear = Bitrix24DealContactItemsDeleteOperator(
            task_id="items_delete", task_display_name=gettext("Clear the links"), owner_id=deal
        )
        add = Bitrix24DealContactAddOperator(
            task_id="add", task_display_name=gettext("Link the contact"), owner_id=deal, contact_id=guest
        )
        back = Bitrix24DealContactItemsSetOperator(
            task_id="items_set",
            task_display_name=gettext("Bring the links back"),
            owner_id=deal,
            items="{{ ti.xcom_pull(task_ids='deal.items_get') or [params.contact_id] }}",
        )
        delete = Bitrix24DealContactDeleteOperator(
            task_id="delete", task_display_name=gettext("Unlink the contact"), owner_id=deal, contact_id=guest
        )
        end = check_end("crm.deal.contact.items.get", deal, kept.output)  # type: ignore[arg-type]
        chain(fields, kept, check_start(kept.output, guest), clear, add, back, delete, end)  # type: ignore[arg-type]

    chain(check_records(lead, deal, guest), tour_lead(), tour_deal())  # type: ignore[arg-type]
