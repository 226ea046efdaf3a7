"""Both sensors against the sandbox: in the worker, and deferred."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException, TaskDeferred
from airflow.sdk import DAG

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.core.errors import AuthFailed, InvalidInput, Rejected
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.sensors.contact_links import Bitrix24ContactLinksSensor
from airflow_bitrix.sensors.records import Bitrix24RecordsSensor
from tests.moved import DagSerialization
from tests.operators.rendered import rendered

CONTEXT: Any = {}


def deferral(sensor: Any) -> TaskDeferred:
    with pytest.raises(TaskDeferred) as deferred:
        sensor.execute(CONTEXT)
    return deferred.value


def fired(trigger: Any) -> dict[str, Any]:
    """Give the payload of a trigger, as it is after its way through Airflow's database."""
    path, kwargs = trigger.serialize()
    assert "abcdef123456" not in json.dumps(kwargs)
    module, _, name = path.rpartition(".")
    again = getattr(__import__(module, fromlist=[name]), name)(**json.loads(json.dumps(kwargs)))

    async def first() -> Any:
        async with asyncio.timeout(20):
            return (await anext(again.run())).payload

    payload: dict[str, Any] = json.loads(json.dumps(asyncio.run(first())))
    return payload


def set_links(owner_id: int, *contacts: int) -> None:
    Bitrix24Hook().call(
        "crm.lead.contact.items.set", {"id": owner_id, "items": [{"CONTACT_ID": one} for one in contacts]}
    )


def test_links_are_waited_for_on_the_worker(sandbox: Any) -> None:
    set_links(5, 7, 8)
    sensor = Bitrix24ContactLinksSensor(task_id="it", owner_id=5, has=[8, 9], primary=7, deferrable=False)
    sandbox.reset_stats()
    assert not sensor.poke(CONTEXT)
    assert sandbox.stats()["methods"] == {"batch": 1}
    set_links(5, 7, 9, 8)
    assert sensor.execute(CONTEXT) == {"contact_ids": [7, 9, 8], "primary_id": 7}


def test_links_are_waited_for_in_the_triggerer(sandbox: Any) -> None:
    del sandbox
    set_links(5, 7, 8)
    sensor = Bitrix24ContactLinksSensor(
        task_id="it", owner_id=5, exactly=[9], deferrable=True, poke_interval=1, timeout=60
    )
    found = deferral(sensor)
    assert found.timeout.total_seconds() == 60
    set_links(5, 9)
    event = fired(found.trigger)
    assert event == {"found": {"contact_ids": [9], "primary_id": 9}}
    assert sensor.resume_execution(found.method_name, {"event": event}, CONTEXT) == event["found"]


def test_what_is_so_already_is_not_deferred(sandbox: Any) -> None:
    del sandbox
    sensor = Bitrix24RecordsSensor(task_id="it", kind="deal", at_least=60, at_most=60, deferrable=True)
    assert sensor.execute(CONTEXT) == 60


def test_records_are_waited_for_in_the_triggerer(sandbox: Any) -> None:
    sensor = rendered(
        Bitrix24RecordsSensor,
        task_id="it",
        filter={"title": "awaited"},
        at_least="2",
        poke_interval=1,
        deferrable=True,
    )
    found = deferral(sensor)
    assert sensor._asked.call.params["filter"] == {"title": "awaited"}
    for _ in range(2):
        Bitrix24Hook().call("crm.lead.add", {"fields": {"TITLE": "awaited"}})
    sandbox.reset_stats()
    assert fired(found.trigger) == {"found": 2}
    assert sandbox.stats()["commands_in_batches"] == {"crm.item.list": 1}


@pytest.mark.parametrize("deferrable", [False, True])
def test_an_owner_that_is_not_there_fails_the_task_at_once(sandbox: Any, *, deferrable: bool) -> None:
    del sandbox
    arguments: dict[str, Any] = {"task_id": "it", "kind": "deal", "owner_id": 99999, "has": 7}
    sensor = Bitrix24ContactLinksSensor(**arguments, deferrable=deferrable)
    said = "^deal 99999 is not there, or the webhook's user may not read it"
    with pytest.raises(Rejected, match=said) as failed:
        sensor.execute(CONTEXT)
    assert isinstance(failed.value, AirflowFailException)
    with pytest.raises(AirflowSkipException):
        Bitrix24ContactLinksSensor(**arguments, deferrable=deferrable, soft_fail=True).execute(CONTEXT)


def test_an_owner_that_goes_while_it_is_waited_for_fails_the_task(sandbox: Any) -> None:
    del sandbox
    sensor = Bitrix24ContactLinksSensor(
        task_id="it", owner_id=5, exactly=[], poke_interval=1, deferrable=True, soft_fail=True
    )
    set_links(5, 7)
    found = deferral(sensor)
    Bitrix24Hook().call("crm.lead.delete", {"id": 5})
    event = fired(found.trigger)
    assert event["failed"] == "Rejected"
    with pytest.raises(AirflowSkipException):
        sensor.resume_execution(found.method_name, {"event": event}, CONTEXT)
    sensor.soft_fail = False
    with pytest.raises(Rejected, match=r"^lead 5 is not there") as failed:
        sensor.resume_execution(found.method_name, {"event": event}, CONTEXT)
    assert isinstance(failed.value, AirflowFailException)


def test_a_portal_that_is_busy_is_waited_out(sandbox: Any) -> None:
    sandbox.set_faults(html=1.0)
    links = Bitrix24ContactLinksSensor(task_id="it", owner_id=5, lacks=79, poke_interval=1)
    links._hook.retries = Retries(times=0)
    assert not links.poke(CONTEXT)
    links.deferrable = True
    found = deferral(links)  # what is asked needs no portal to be known
    sandbox.clear_faults()
    assert fired(found.trigger)["found"].keys() == {"contact_ids", "primary_id"}
    assert links.execute(CONTEXT) is not None


def test_a_portal_that_does_not_know_the_webhook_fails_the_task_at_once(
    sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"conn_type": "bitrix24", "password": f"{sandbox.base_url}/rest/1/wrong0000000/"}
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(told))
    sensor = Bitrix24RecordsSensor(task_id="it")
    with pytest.raises(AuthFailed) as failed:
        sensor.execute(CONTEXT)
    assert isinstance(failed.value, AirflowFailException)
    links = Bitrix24ContactLinksSensor(task_id="it", owner_id=5, has=7, poke_interval=1)
    event = fired(links.trigger(links._owner()))
    assert event["failed"] == "AuthFailed"
    with pytest.raises(AuthFailed) as deferred:
        links.resume_execution("execute_complete", {"event": event}, CONTEXT)
    assert str(deferred.value) == event["said"]


LINKS, RECORDS = Bitrix24ContactLinksSensor, Bitrix24RecordsSensor


@pytest.mark.parametrize(
    ("sensor", "given", "said"),
    [
        (LINKS, {"owner_id": 5}, "^has: None .*a contact to wait for"),
        (LINKS, {"owner_id": 0, "has": 7}, "^owner_id: 0 "),
        (LINKS, {"owner_id": 5, "has": 7, "kind": "contact"}, "^kind: 'contact' .*'lead', 'deal', 'quote'"),
        (RECORDS, {"kind": "order"}, "^kind: 'order' .*'lead', 'deal', .*, 'contact', "),
        (RECORDS, {"filter": "title"}, "^filter: 'title' "),
        (RECORDS, {"at_least": -1}, "^at_least: -1 .*a whole number, 0 or above"),
        (RECORDS, {"at_least": 3, "at_most": 2}, "^at_most: 2 .*at_least, which is 3, or more"),
        (RECORDS, {"deferrable": "maybe"}, "^deferrable: 'maybe' .*True or False"),
    ],
)
def test_what_cannot_be_right_is_refused_when_the_dag_is_parsed(
    sensor: Any, given: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=said):
        sensor(task_id="it", **given)


def test_a_field_that_the_portal_would_ignore_is_refused(sandbox: Any) -> None:
    del sandbox
    sensor = Bitrix24RecordsSensor(task_id="it", filter={"titel": "x"}, deferrable=True)
    with pytest.raises(InvalidInput, match=r"^filter: "):
        sensor.execute(CONTEXT)


def test_sensors_are_mapped_rendered_and_serialised() -> None:
    with DAG("sensors", schedule=None, default_args={"deferrable": True, "poke_interval": 30}) as dag:
        LINKS.partial(task_id="mapped", has=7).expand(owner_id=[1, 2])
        links = LINKS(task_id="links", owner_id="{{ 4 + 1 }}", primary="{{ params.contact }}")
        RECORDS(task_id="records", filter={"stageId": "{{ params.stage }}"})
    links.render_template_fields({"params": {"contact": 7}})
    assert (links.deferrable, links.poke_interval) == (True, 30)
    assert links._condition().primary == 7
    restored = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert set(restored.task_dict) == {"mapped", "links", "records"}
