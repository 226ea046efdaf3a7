"""The sample DAGs as they are parsed: what their forms ask, and what their tasks are told."""

from __future__ import annotations

import subprocess
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import DAG, TaskGroup
from airflow.timetables.base import TimeRestriction

from airflow_bitrix.operators.link_approval import Bitrix24ApproveLinkPlanOperator
from airflow_bitrix.operators.shared.plan_maker import LinkPlanMaker
from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS
from tests.airflow.sample_dags import (
    CHANGED,
    CLEANUP,
    DANGLING,
    DEALS,
    HOUSEKEEPING,
    RESTORE,
    SAVED,
    SNAPSHOT,
    TOUR,
    WAIT,
)
from tests.moved import DagSerialization


def test_every_sample_dag_has_docs_tags_and_a_description(dags: dict[str, DAG]) -> None:
    migrations = {
        "bitrix24_company_remap",
        "bitrix24_contact_remap",
        "bitrix24_lead_to_deal_links",
        "bitrix24_portal_to_portal_links",
    }
    assert set(dags) == {
        CHANGED,
        CLEANUP,
        DANGLING,
        DEALS,
        HOUSEKEEPING,
        RESTORE,
        SAVED,
        SNAPSHOT,
        TOUR,
        WAIT,
        *migrations,
    }
    for dag in dags.values():
        assert dag.doc_md
        assert dag.description
        assert "bitrix24" in dag.tags
        assert dag.dag_id == HOUSEKEEPING or dag.params["bitrix24_conn_id"] == "bitrix24_default"
    assert dags[HOUSEKEEPING].params["dry_run"] is True
    for dag_id in (CLEANUP, DANGLING, DEALS, RESTORE):
        assert dags[dag_id].params["dry_run"] is True
        assert dags[dag_id].max_active_runs > 1  # what waits for somebody holds up no dry run
    assert "dry_run" not in dags[SNAPSHOT].params  # it writes nothing anyway


def test_the_page_of_each_dag_can_put_its_tasks_and_groups_in_order(dags: dict[str, DAG]) -> None:
    """Airflow parses a DAG with a group that is ahead of a task and behind it, and shows no page of it."""
    for dag in dags.values():
        groups = [dag.task_group]
        while groups:
            found = groups.pop().topological_sort()
            groups += [one for one in found if isinstance(one, TaskGroup)]


def test_no_scheduled_run_starts_with_the_first_trigger(dags: dict[str, DAG]) -> None:
    """Which unpauses the DAG: the run that a person has asked for would wait behind one that nobody has."""
    unknown = TimeRestriction(earliest=None, latest=None, catchup=False)
    for dag_id in (CLEANUP, DEALS, SNAPSHOT):
        restored = DagSerialization.from_dict(DagSerialization.to_dict(dags[dag_id]))
        assert restored.start_date is None
        first = restored.timetable.next_dagrun_info(last_automated_data_interval=None, restriction=unknown)
        assert first is not None
        assert first.run_after > datetime.now(UTC)


def test_every_form_can_be_sent_as_it_begins(dags: dict[str, DAG]) -> None:
    """The UI takes an empty text for a missing answer, and then offers no button to trigger the DAG."""
    for dag in dags.values():
        texts = {name: dag.params.get_param(name) for name in dag.params}
        assert [name for name, param in texts.items() if param.value == ""] == []


def open_ended(schema: Any, where: str) -> list[str]:
    """Give the places in a schema that take numbers and do not say between which."""
    if not isinstance(schema, dict):
        return []
    found = [place for name, part in schema.items() for place in open_ended(part, f"{where}.{name}")]
    kinds = schema.get("type", ())
    if {"integer", "number"} & {*([kinds] if isinstance(kinds, str) else kinds)}:
        ends = {"minimum", "exclusiveMinimum"}, {"maximum", "exclusiveMaximum"}
        told = {name for one in (schema, *schema.get("allOf", ())) for name in one}
        found += [where] * (not all(end & told for end in ends))
    return found


def test_every_number_that_a_form_asks_for_has_a_least_and_a_most(dags: dict[str, DAG]) -> None:
    """Airflow cannot hand a number of more than 64 bits to a task, and the task then dies without a word."""
    schemas = {
        f"{dag.dag_id}.{name}": dag.params.get_param(name).schema
        for dag in dags.values()
        for name in dag.params
    }
    assert sum("integer" in str(schema) for schema in schemas.values()) > 20
    assert [place for where, schema in schemas.items() for place in open_ended(schema, where)] == []


@pytest.mark.parametrize(
    "held",
    [
        {"id": 2**65},
        {"@id": [1, 2**65]},
        {"@id": [[2**65]]},
        {"0": [{">id": 2**65}]},
        {"0": {"logic": "OR", "0": {"id": -(2**65)}}},
        {"0": {"0": {"0": {"0": {"0": {">id": 2**65}}}}}},
    ],
)
def test_no_object_that_a_form_asks_for_holds_a_number_that_does_not_fit(
    held: Any, dags: dict[str, DAG]
) -> None:
    # A parameter keeps the value that it was last given.
    params = [deepcopy(dag.params.get_param(name)) for dag in dags.values() for name in dag.params]
    objects = [param for param in params if "object" in param.schema["type"]]
    assert len(objects) == 9
    for param in objects:
        assert param.resolve({">opportunity": 1000.5, "@id": [1, 2]})
        with pytest.raises(ParamValidationError, match=r"is (greater|less) than the (maximum|minimum) of"):
            param.resolve(held)


def test_parsing_the_dags_connects_to_nothing(
    loaded_in_russian: subprocess.CompletedProcess[str],
) -> None:
    """A DAG file that asked the portal while it is parsed would ask it every few seconds."""
    # Airflow 3.1 logs to stderr what its database migrations set up while it is imported.
    said = [line for line in loaded_in_russian.stderr.splitlines() if "alembic.runtime" not in line]
    assert (loaded_in_russian.returncode, said) == (0, [])


def test_what_may_be_left_empty_has_no_star_and_what_may_not_stands_open(dags: dict[str, DAG]) -> None:
    """Airflow's form puts a star at each field that takes no null, and folds sections but the first."""
    params = {
        (dag_id, name): dag.params.get_param(name) for dag_id, dag in dags.items() for name in dag.params
    }
    empty = {name for name, param in params.items() if param.value in (None, [], {})}
    assert {name for name in empty if "null" not in params[name].schema["type"]} == set()
    needed = {("bitrix24_portal_to_portal_links", name) for name in ("match", "originator")}
    needed |= {("bitrix24_contact_remap", name) for name in ("map_file", "contacts")}
    needed |= {("bitrix24_company_remap", name) for name in ("map_file", "companies")}
    assert {name for name in needed if "section" in params[name].schema} == set()


def test_every_plan_is_told_the_quiet_hours_that_its_applies_go_by(dags: dict[str, DAG]) -> None:
    plans = [task for dag in dags.values() for task in dag.tasks if isinstance(task, LinkPlanMaker)]
    told = {name: BY_PARAMS[name] for name in ("quiet_hours", "timezone")}
    assert len(plans) == 28
    assert [plan.quiet for plan in plans] == [told] * len(plans)


def test_every_approval_is_told_what_the_tasks_behind_it_go_by(dags: dict[str, DAG]) -> None:
    asking = [
        task
        for dag in dags.values()
        for task in dag.tasks
        if isinstance(task, Bitrix24ApproveLinkPlanOperator)
    ]
    followed = ("canary", "max_failed", "max_failure_share", "quiet_hours", "timezone")
    told = {name: BY_PARAMS[name] for name in followed} | {"wait_for_turn": 12}
    assert len(asking) == 10
    assert {task.mode for task in asking} == {"always"}  # which no answer of a form, nor a conf, lifts
    assert [task.applied_by for task in asking] == [told] * len(asking)


def test_every_task_has_an_end_but_for_those_that_wait_for_a_person(dags: dict[str, DAG]) -> None:
    """An approval has a time of its own for the answer, which Airflow would take this for."""
    ends = {
        (dag.dag_id, task.task_id): task.execution_timeout
        for dag in dags.values()
        for task in dag.tasks
        if not isinstance(task, Bitrix24ApproveLinkPlanOperator)
    }
    assert [task for task, end in ends.items() if end is None] == []
    assert {end for (_, task), end in ends.items() if task.endswith("apply")} == {timedelta(hours=12)}
