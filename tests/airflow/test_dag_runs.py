"""The sample DAGs, run by Airflow in this process on sandboxes, to the exact expected end."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from airflow.providers.common.compat.sdk import ParamValidationError
from airflow.sdk import DAG

from airflow_bitrix.operators.link_approval import Bitrix24ApproveLinkPlanOperator
from airflow_bitrix.operators.shared.plan_maker import LinkPlanMaker
from airflow_bitrix.pipelines.trigger_forms import BY_PARAMS
from tests.moved import DagBag

DAGS = Path(__file__).parents[2] / "dags"
CLEANUP = "bitrix24_lead_link_cleanup"
DEALS = "bitrix24_deal_link_cleanup"
TOUR = "bitrix24_link_methods_tour"
RESTORE = "bitrix24_link_restore"
SNAPSHOT = "bitrix24_link_snapshot"
REAL = {"dry_run": False, "approval": "never", "canary": 0}


@pytest.fixture(scope="session")
def dags() -> dict[str, DAG]:
    """The sample DAGs, with a database behind them."""
    subprocess.run([sys.executable, "-m", "airflow", "db", "migrate"], check=True, capture_output=True)
    bag = DagBag(dag_folder=str(DAGS))
    assert bag.import_errors == {}
    return dict(bag.dags)


@pytest.fixture(scope="session")
def defaults(dags: dict[str, DAG]) -> dict[str, dict[str, Any]]:
    """What each trigger form says at first: `DAG.test` keeps the answers of one run for the next."""
    return {dag_id: dag.params.dump() for dag_id, dag in dags.items()}


@pytest.fixture
def run(
    dags: dict[str, DAG], defaults: dict[str, dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Any]:
    """Run a DAG on a sandbox, as a trigger with parameters does; tasks are not retried."""

    def go(dag_id: str, sandbox: Any, extra: dict[str, Any] | None = None, **conf: Any) -> Any:
        found = {"conn_type": "bitrix24", "password": sandbox.webhook_url, "extra": extra or {}}
        monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps(found))
        dag = dags[dag_id]
        for task in dag.tasks:
            task.retries = 0
        done = dag.test(run_conf={**defaults[dag_id], **conf})
        instances = sorted(done.get_task_instances(), key=lambda ti: (ti.task_id, ti.map_index))
        states: dict[str, Any] = {}
        for ti in instances:
            name = ti.task_id if ti.map_index < 1 else f"{ti.task_id}[{ti.map_index}]"
            states[name] = ti.state
        return done, states

    return go


def folder_of(done: Any) -> Path:
    """The folder of a run's plan: ids, with percent signs for what does not belong into a file's name."""
    root = Path(os.environ["AIRFLOW__BITRIX24__ARTIFACTS_PATH"])
    return root / str(done.dag_id) / quote(str(done.run_id)) / "plan"


def outcomes(folder: Path) -> dict[int, str]:
    """Read a journal as anybody would: the last outcome of each owner."""
    last: dict[int, str] = {}
    for path in sorted((folder / "journal").glob("part-*.jsonl")):
        for line in map(json.loads, path.read_text().splitlines()):
            if "owner" in line:
                last[line["owner"]] = line["outcome"]
    return last


def test_every_sample_dag_has_docs_tags_and_a_description(dags: dict[str, DAG]) -> None:
    migrations = {"bitrix24_contact_remap", "bitrix24_lead_to_deal_links", "bitrix24_portal_to_portal_links"}
    assert set(dags) == {CLEANUP, DEALS, RESTORE, SNAPSHOT, TOUR, *migrations}
    for dag in dags.values():
        assert dag.doc_md
        assert dag.description
        assert "bitrix24" in dag.tags
        assert dag.params["bitrix24_conn_id"] == "bitrix24_default"
    for dag_id in (CLEANUP, DEALS, RESTORE):
        assert dags[dag_id].params["dry_run"] is True
        assert dags[dag_id].params["approval"] == "always"
        assert dags[dag_id].max_active_runs == 1
    assert "dry_run" not in dags[SNAPSHOT].params  # it writes nothing anyway


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
        found += [where] * (not all(end & schema.keys() for end in ends))
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
    objects = [param for param in params if param.schema.get("type") == "object"]
    assert len(objects) == 6
    for param in objects:
        assert param.resolve({">opportunity": 1000.5, "@id": [1, 2]})
        with pytest.raises(ParamValidationError, match=r"is (greater|less) than the (maximum|minimum) of"):
            param.resolve(held)


def test_parsing_the_dags_connects_to_nothing() -> None:
    """A DAG file that asked the portal while it is parsed would ask it every few seconds."""
    code = (
        "import socket, runpy, sys\n"
        "def refuse(*_): raise SystemExit('connected')\n"
        "socket.socket.connect = socket.socket.connect_ex = refuse\n"
        "for path in sys.argv[1:]: runpy.run_path(path)\n"
    )
    files = sorted(str(path) for path in DAGS.glob("*.py"))
    done = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=False)
    # Airflow 3.1 logs to stderr what its database migrations set up while it is imported.
    said = [line for line in done.stderr.splitlines() if "alembic.runtime" not in line]
    assert (done.returncode, said) == (0, [])


def test_2_000_leads_end_exactly_as_the_truth_says_and_a_second_run_writes_nothing(
    run: Any, make_sandbox: Any
) -> None:
    sandbox = make_sandbox(leads=2000, deals=500, contacts=3000)
    truth = sandbox.truth()["expected"]["release_repeat_leads"]
    before, deals = sandbox.links("lead"), sandbox.links("deal")

    done, states = run(CLEANUP, sandbox, **REAL)
    assert set(states.values()) == {"success"}
    stats = sandbox.stats()
    assert stats["refused_503"] == 0
    # one scan request, one look at all owners of the plan, 16 leads a write request, and one look to check
    assert stats["admitted"] <= 1 + 1 + math.ceil(len(truth["released"]) / 16) + 1

    after = sandbox.links("lead")
    changed = {int(lead) for lead in before if before[lead] != after[lead]}
    assert changed == set(truth["released"])
    for lead in truth["released"]:
        owner = after[str(lead)]
        assert (owner["links"], owner["contact_id"], owner["is_return_customer"]) == ([], None, "N")
    assert sandbox.links("deal") == deals

    folder = folder_of(done)
    assert outcomes(folder) == dict.fromkeys(truth["released"], "applied")
    with (folder / "plan" / "left_out.csv").open() as rows:
        left_out = list(csv.DictReader(rows))
    by_why = {
        why: sorted(int(row["owner_id"]) for row in left_out if row["why"] == why)
        for why in ("held by a company", "converted")
    }
    assert by_why == {"held by a company": truth["held_by_company"], "converted": truth["converted"]}
    assert f">{len(truth['released'])}<" in (folder / "report.html").read_text()

    sandbox.reset_stats()
    _, states = run(CLEANUP, sandbox, **REAL)
    assert set(states.values()) == {"success"}
    assert sandbox.stats()["writes"] == 0
    assert sandbox.links("lead") == after


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_under_faults_the_run_ends_with_every_change_accounted_for(
    seed: int, run: Any, make_sandbox: Any
) -> None:
    sandbox = make_sandbox(leads=2000, contacts=500, plan="self_hosted", seed=seed)
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    sandbox.set_faults(
        seed=seed,
        throttle=0.05,
        html=0.02,
        drop_before=0.005,
        drop_after=0.005,
        command=0.01,
        command_error={"error": "ERROR_CORE", "error_description": "Locked by a colleague"},
        only_methods=["crm.lead.contact.items.delete", "crm.lead.update"],
    )
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **REAL)
    assert sum(sandbox.stats()["faults"].values()) > 0
    sandbox.clear_faults()
    after = sandbox.links("lead")
    bare = [
        lead
        for lead in released
        if (after[str(lead)]["links"], after[str(lead)]["is_return_customer"]) == ([], "N")
    ]
    folder = folder_of(done)
    found = outcomes(folder)
    assert sorted(found) == released
    assert sorted(lead for lead, outcome in found.items() if outcome == "applied") == bare
    failed = sorted(set(released) - set(bare))
    with (folder / "failed.csv").open() as rows:
        listed = {int(row["owner_id"]): row["reason"] for row in csv.DictReader(rows)}
    assert listed == dict.fromkeys(failed, "ERROR_CORE: Locked by a colleague")
    # each change that failed is the check's business: the task that applied them did its work
    assert states["apply"] == "success"
    assert states["check"] == ("failed" if failed else "success")

    _, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **REAL)
    assert set(states.values()) == {"success"}
    end = sandbox.links("lead")
    assert all(
        (end[str(lead)]["links"], end[str(lead)]["is_return_customer"]) == ([], "N") for lead in released
    )


LOCKED = {"error": "ERROR_CORE", "error_description": "Locked by a colleague"}


def test_a_large_plan_is_applied_by_a_task_for_each_part(run: Any, make_sandbox: Any) -> None:
    """The canary's changes come first, every change is written once, and one report tells all of it."""
    sandbox = make_sandbox(leads=7000, contacts=500, plan="self_hosted")
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    assert 2000 < len(released) <= 3000
    before = sandbox.links("lead")
    conf = {**REAL, "canary": 25, "max_changes": len(released)}
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **conf)
    tasks = ["plan", "approve", "canary", "apply", "apply[1]", "apply[2]", "check"]
    assert states == dict.fromkeys(tasks, "success")
    after = sandbox.links("lead")
    assert sorted(int(lead) for lead in before if before[lead] != after[lead]) == released
    assert sandbox.stats()["commands_in_batches"]["crm.lead.update"] == len(released)
    folder = folder_of(done)
    assert outcomes(folder) == dict.fromkeys(released, "applied")
    assert f"{len(released):,}" in (folder / "report.html").read_text()


@pytest.mark.parametrize(
    ("limits", "ends", "written"),
    [
        ({"canary": 10}, {"canary": "failed", "apply": "upstream_failed"}, 10),
        ({"max_failure_share": 0.1}, {"canary": "success", "apply": "failed"}, 200),
    ],
    ids=["canary", "share of failures"],
)
def test_a_portal_that_refuses_the_changes_is_left_alone_soon_and_a_second_run_finishes_them(
    limits: dict[str, Any], ends: dict[str, str], written: int, run: Any, make_sandbox: Any
) -> None:
    """The check runs all the same, tells what became of every change, and fails the run."""
    sandbox = make_sandbox(leads=2000, contacts=500, plan="self_hosted")
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    sandbox.set_faults(seed=1, command=1.0, command_error=LOCKED, only_methods=["crm.lead.update"])
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **{**REAL, **limits})
    assert states == {"plan": "success", "approve": "success", **ends, "check": "failed"}
    assert done.state == "failed"
    folder = folder_of(done)
    failed = [lead for lead, outcome in outcomes(folder).items() if outcome == "failed"]
    assert 0 < len(failed) <= written < len(released)
    with (folder / "failed.csv").open() as rows:
        assert [int(row["owner_id"]) for row in csv.DictReader(rows)] == failed
    assert "Not finished" in (folder / "report.html").read_text()

    sandbox.clear_faults()
    _, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **REAL)
    assert set(states.values()) == {"success"}
    end = sandbox.links("lead")
    assert all(
        (end[str(lead)]["links"], end[str(lead)]["is_return_customer"]) == ([], "N") for lead in released
    )


def test_an_empty_plan_ends_well_and_has_a_report(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=100, contacts=100, plan="self_hosted")
    conf = {"dry_run": False, "filter": {"=id": 10**6}}  # nobody is asked, either
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **conf)
    assert states == dict.fromkeys(["plan", "approve", "canary", "apply", "check"], "success")
    assert (folder_of(done) / "report.html").exists()
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        ({"timezone": "Mars/Phobos"}, "timezone: 'Mars/Phobos' is not accepted"),
        ({"quiet_hours": "08:00-08:00"}, "quiet_hours: '08:00-08:00' is not accepted"),
    ],
    ids=["time zone", "quiet hours"],
)
def test_an_answer_that_only_applying_goes_by_is_refused_by_the_plan(
    answers: dict[str, Any], refusal: str, run: Any, make_sandbox: Any, capsys: Any
) -> None:
    """The form cannot tell that it is wrong, and nobody is to approve what then cannot be applied."""
    sandbox = make_sandbox(leads=100, contacts=100, plan="self_hosted")
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **{**REAL, **answers})
    behind = dict.fromkeys(["approve", "canary", "apply", "check"], "upstream_failed")
    assert states == {"plan": "failed", **behind}
    assert done.state == "failed"
    assert refusal in capsys.readouterr().out
    assert sandbox.stats()["admitted"] == 0


def test_every_plan_is_told_the_quiet_hours_that_its_applies_go_by(dags: dict[str, DAG]) -> None:
    plans = [task for dag in dags.values() for task in dag.tasks if isinstance(task, LinkPlanMaker)]
    told = {name: BY_PARAMS[name] for name in ("quiet_hours", "timezone")}
    assert len(plans) == 9
    assert [plan.quiet for plan in plans] == [told] * len(plans)


def test_every_approval_is_told_what_the_tasks_behind_it_go_by(dags: dict[str, DAG]) -> None:
    asking = [
        task
        for dag in dags.values()
        for task in dag.tasks
        if isinstance(task, Bitrix24ApproveLinkPlanOperator)
    ]
    told = {name: BY_PARAMS[name] for name in ("canary", "max_failed", "max_failure_share")}
    assert len(asking) == 9
    assert [task.applied_by for task in asking] == [told] * len(asking)


def test_a_plan_that_breaks_a_guard_stops_before_anybody_is_asked(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=500, contacts=100, plan="self_hosted")
    conf = {"dry_run": False, "approval": "always", "max_share": 0.01}
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **conf)
    behind = dict.fromkeys(["canary", "apply", "check"], "upstream_failed")
    assert states == {"plan": "success", "approve": "failed", **behind}
    assert done.state == "failed"
    assert sandbox.stats()["writes"] == 0


def test_stage_age_and_filter_narrow_the_clean_up(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=600, contacts=300, plan="self_hosted")
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    before = sandbox.links("lead")
    rows = {lead: sandbox.state.row("lead", lead) for lead in released}
    days = {lead: str(datetime.fromtimestamp(row["DATE_CREATE"], UTC).date()) for lead, row in rows.items()}
    first, last = sorted(days.values())[len(days) // 8], sorted(days.values())[len(days) * 7 // 8]
    new = {lead for lead, row in rows.items() if row["STATUS_ID"] == "NEW" and lead <= 300}
    wanted = {lead for lead in new if first <= days[lead] <= last}
    assert 0 < len(wanted) < len(new) < len(released)
    _, states = run(
        CLEANUP,
        sandbox,
        {"plan": "self_hosted"},
        **REAL,
        stages=["NEW"],
        older_than_days=1,
        created_from=first,
        created_to=last,
        filter={"<=id": 300},
    )
    assert set(states.values()) == {"success"}
    after = sandbox.links("lead")
    assert {int(lead) for lead in before if before[lead] != after[lead]} == wanted


def ends_of(owners: Any) -> dict[str, Any]:
    """Links and scalar contact of owners, as the truth tells them."""
    return {
        owner_id: {"links": [row[:3] for row in owner["links"]], "contact_id": owner["contact_id"]}
        for owner_id, owner in owners.items()
    }


@pytest.mark.parametrize(
    ("rules", "truth", "options"),
    [
        (None, "fix_primary", {}),
        (
            [
                "fix_primary",
                "merge_same_person",
                "remove_dangling",
                "trim_company_contacts",
                "unlink_closed",
            ],
            "together",
            {"closed_days": 0},
        ),
    ],
    ids=["as the form begins", "all rules"],
)
def test_deals_end_exactly_as_the_truth_says_and_a_second_run_writes_nothing(
    rules: list[str] | None, truth: str, options: dict[str, Any], run: Any, make_sandbox: Any
) -> None:
    sandbox = make_sandbox(leads=500, deals=1500, contacts=1000, plan="self_hosted")
    expected = sandbox.truth()["expected"][truth]["deal"]
    assert expected
    before, leads = ends_of(sandbox.links("deal")), sandbox.links("lead")
    conf = {**REAL, "max_changes": len(expected), **options, **({"rules": rules} if rules else {})}

    done, states = run(DEALS, sandbox, {"plan": "self_hosted"}, **conf)
    assert set(states.values()) == {"success"}
    after = ends_of(sandbox.links("deal"))
    assert after == {**before, **expected}
    assert sandbox.links("lead") == leads
    assert outcomes(folder_of(done)) == {int(deal): "applied" for deal in expected}

    sandbox.reset_stats()
    _, states = run(DEALS, sandbox, {"plan": "self_hosted"}, **conf)
    assert set(states.values()) == {"success"}
    assert sandbox.stats()["writes"] == 0
    assert ends_of(sandbox.links("deal")) == after


def test_a_dry_run_of_deals_writes_nothing(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=100, deals=500, contacts=300, plan="self_hosted")
    done, states = run(DEALS, sandbox, {"plan": "self_hosted"})
    assert set(states.values()) == {"success"}
    assert set(outcomes(folder_of(done)).values()) == {"skipped"}
    assert sandbox.stats()["writes"] == 0


def test_an_unknown_filter_field_fails_the_plan_and_writes_nothing(
    run: Any, make_sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox = make_sandbox(leads=100, contacts=100, plan="self_hosted")
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **REAL, filter={"stagId": "NEW"})
    behind = dict.fromkeys(["approve", "canary", "apply", "check"], "upstream_failed")
    assert states == {"plan": "failed", **behind}
    assert done.state == "failed"
    assert sandbox.stats()["writes"] == 0
    assert "filter: 'stagId' is not accepted; accepted: fields of a lead:" in "".join(capfd.readouterr())


@pytest.mark.parametrize("contacts", [[3, 1], []], ids=["with contacts", "without contacts"])
def test_the_tour_uses_each_method_once_and_leaves_the_records_as_they_were(
    contacts: list[int], run: Any, make_sandbox: Any
) -> None:
    sandbox = make_sandbox(plan="self_hosted")
    for number in range(1, 6):
        sandbox.state.add("contact", {"NAME": f"Contact {number}"})
    lead = sandbox.state.add("lead", {"TITLE": "Lead", "CONTACT_IDS": contacts})
    deal = sandbox.state.add("deal", {"TITLE": "Deal", "CONTACT_IDS": contacts})
    before = sandbox.links("lead"), sandbox.links("deal")
    _, states = run(TOUR, sandbox, {"plan": "self_hosted"}, lead_id=lead, deal_id=deal, contact_id=5)
    assert set(states.values()) == {"success"}
    assert (sandbox.links("lead"), sandbox.links("deal")) == before
    used = sandbox.stats()["methods"]
    verbs = ("fields", "add", "delete", "items.set", "items.delete")
    for kind in ("lead", "deal"):
        assert {verb: used[f"crm.{kind}.contact.{verb}"] for verb in verbs} == dict.fromkeys(verbs, 1)
        assert used[f"crm.{kind}.contact.items.get"] == 2  # the operator's, and the check at the end


@pytest.mark.parametrize("missing", ["lead", "deal", "contact"])
def test_the_tour_fails_first_of_all_where_a_record_does_not_exist(
    missing: str, run: Any, make_sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """The portal reads and clears the links of a lead that does not exist without a complaint."""
    sandbox = make_sandbox(plan="self_hosted")
    ids = {kind: sandbox.state.add(kind, {}) for kind in ("lead", "deal", "contact")} | {missing: 999_999}
    conf = {f"{kind}_id": number for kind, number in ids.items()}
    _, states = run(TOUR, sandbox, {"plan": "self_hosted"}, **conf)
    assert states.pop("check_records") == "failed"
    assert set(states.values()) == {"upstream_failed"}
    assert f"there is no {missing} 999999, or the webhook's user may not read it" in capfd.readouterr().out


def test_the_tour_refuses_a_contact_that_is_linked_already(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(plan="self_hosted")
    sandbox.state.add("contact", {"NAME": "Contact"})
    sandbox.state.add("lead", {"TITLE": "Lead", "CONTACT_IDS": [1]})
    sandbox.state.add("deal", {"TITLE": "Deal", "CONTACT_IDS": [1]})
    _, states = run(TOUR, sandbox, {"plan": "self_hosted"}, lead_id=1, deal_id=1, contact_id=1)
    assert states["lead.check_start"] == "failed"
    assert sandbox.stats()["writes"] == 0


def as_rows(owner: Any) -> list[tuple[int, int, bool]]:
    return sorted((row[0], row[1], row[2] == "Y") for row in owner["links"])


def test_a_clean_up_is_taken_back_to_the_first_links_with_sort_and_primary(
    run: Any, make_sandbox: Any
) -> None:
    sandbox = make_sandbox(leads=600, deals=50, contacts=300, plan="self_hosted")
    gone = {lead for lead in map(int, sandbox.links("lead")) if has_no_such_contact(sandbox, lead)}
    odd = gone | {lead for lead in map(int, sandbox.links("lead")) if is_at_odds(sandbox, lead)}
    first, deals = sandbox.links("lead"), sandbox.links("deal")
    done, _ = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **REAL)
    cleaned = sandbox.links("lead")
    emptied = {int(lead) for lead in first if first[lead]["links"] and not cleaned[lead]["links"]}
    journal = str(folder_of(done))

    sandbox.reset_stats()
    dry, states = run(RESTORE, sandbox, {"plan": "self_hosted"}, journal=journal)
    assert set(states.values()) == {"success"}
    assert sandbox.stats()["writes"] == 0
    assert set(outcomes(folder_of(dry)).values()) == {"skipped"}

    sandbox.reset_stats()
    done, states = run(RESTORE, sandbox, {"plan": "self_hosted"}, journal=journal, **REAL)
    assert set(states.values()) == {"success"}
    assert set(outcomes(folder_of(done)).values()) == {"applied"}
    assert sandbox.stats()["writes"] == len(outcomes(folder_of(done)))
    after = sandbox.links("lead")
    assert len(emptied - odd) > 100
    assert {lead: as_rows(after[str(lead)]) for lead in emptied - odd} == {
        lead: as_rows(first[str(lead)]) for lead in emptied - odd
    }
    # contacts that do not exist are not linked, and the portal flags exactly one
    assert {lead: {row[0] for row in as_rows(after[str(lead)])} for lead in emptied & odd} == {
        lead: {row[0] for row in as_rows(first[str(lead)]) if sandbox.state.row("contact", row[0])}
        for lead in emptied & odd
    }
    untouched = [lead for lead in first if int(lead) not in emptied]
    assert {lead: after[lead] for lead in untouched} == {lead: cleaned[lead] for lead in untouched}
    assert {after[str(lead)]["is_return_customer"] for lead in emptied} == {"N"}  # nobody saved them
    assert sandbox.links("deal") == deals

    sandbox.reset_stats()
    done, states = run(RESTORE, sandbox, {"plan": "self_hosted"}, journal=journal, **REAL)
    assert set(states.values()) == {"success"}
    assert (outcomes(folder_of(done)), sandbox.stats()["writes"]) == ({}, 0)


def has_no_such_contact(sandbox: Any, lead: int) -> bool:
    return any(
        not sandbox.state.row("contact", link.contact_id) for link in sandbox.state.links("lead", lead)
    )


def is_at_odds(sandbox: Any, lead: int) -> bool:
    """Whether flags and scalar contact say different things, which no link method can bring about."""
    links = sandbox.state.links("lead", lead)
    flagged = [link.contact_id for link in links if link.primary]
    return bool(links) and flagged != [sandbox.state.row("lead", lead).get("CONTACT_ID")]


def test_two_nights_tell_exactly_what_changed_between_them(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=60, deals=60, contacts=50, plan="self_hosted")
    deal = sandbox.state.add("deal", {"TITLE": "Deal", "CONTACT_IDS": [3, 1, 2]})
    pair = sandbox.state.add("deal", {"TITLE": "Deal", "CONTACT_IDS": [4, 5]})
    night, states = run(SNAPSHOT, sandbox, {"plan": "self_hosted"}, detail="full")
    assert states == {"leads": "success", "deals": "success"}
    folder = folder_of(night)
    assert "Nothing to compare with" in (folder.parent / "deals" / "changes.html").read_text()

    sandbox.state.update("deal", deal, {"CONTACT_IDS": [1, 7]})
    sandbox.state.update("deal", pair, {"CONTACT_IDS": [5, 4]})
    next_night, states = run(SNAPSHOT, sandbox, {"plan": "self_hosted"}, detail="full", keep=1)
    assert set(states.values()) == {"success"}
    with (folder_of(next_night).parent / "deals" / "changed.csv").open(newline="") as rows:
        told = [(int(row["owner_id"]), row["what"]) for row in csv.DictReader(rows)]
    assert told == [
        (deal, "added"),
        (deal, "removed"),
        (deal, "sort"),
        (deal, "primary"),
        (pair, "order"),
        (pair, "primary"),
    ]
    assert not (folder.parent / "deals" / "snapshot").exists()
    assert sandbox.stats()["writes"] == 0


def test_a_restore_from_a_snapshot_ends_at_the_snapshot(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(plan="self_hosted", contacts=50)
    deals = [sandbox.state.add("deal", {"TITLE": "Deal", "CONTACT_IDS": [3, 1, 2]}) for _ in range(3)]
    night, _ = run(SNAPSHOT, sandbox, {"plan": "self_hosted"}, detail="full")
    snapshot = str(folder_of(night).parent / "deals" / "snapshot")
    for number, deal in enumerate(deals):
        sandbox.state.update("deal", deal, {"CONTACT_IDS": [[1, 7], [2, 1, 3], [9]][number]})
    changed = sandbox.links("deal")
    done, states = run(RESTORE, sandbox, {"plan": "self_hosted"}, snapshot=snapshot, owners=deals[:2], **REAL)
    assert set(states.values()) == {"success"}
    after = sandbox.links("deal")
    assert [as_rows(after[str(deal)]) for deal in deals[:2]] == [
        [(1, 20, False), (2, 30, False), (3, 10, True)]
    ] * 2
    assert after[str(deals[2])] == changed[str(deals[2])]
    assert outcomes(folder_of(done)) == dict.fromkeys(deals[:2], "applied")


def test_a_restore_without_a_source_fails_before_anything_is_sent(
    run: Any, make_sandbox: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    sandbox = make_sandbox(plan="self_hosted")
    _, states = run(RESTORE, sandbox, {"plan": "self_hosted"})
    assert states["plan"] == "failed"
    assert sandbox.stats()["admitted"] == 0
    assert "none of the two is given; accepted: one of the two, and only one" in "".join(capfd.readouterr())
