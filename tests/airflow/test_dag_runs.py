"""The sample DAGs, run by Airflow in this process on sandboxes, to the exact expected end."""

from __future__ import annotations

import csv
import math
from datetime import UTC, datetime
from typing import Any

import pytest

from airflow_bitrix.plugins.run_states import run_state
from tests.airflow.sample_dags import CLEANUP, DEALS, REAL, TOUR, folder_of, outcomes


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
    # one scan request, one look at all owners of the plan, one that reads the links of the first of them,
    # 16 leads a write request, and one look to check; plan and check ask who sees the portal, and the check
    # for the names of leads and contacts, and of those who are responsible
    assert stats["admitted"] <= 1 + 2 + math.ceil(len(truth["released"]) / 16) + 1 + 2 + 2

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
    sandbox = make_sandbox(leads=1000, contacts=500, plan="self_hosted", seed=seed)
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    sandbox.set_faults(
        seed=seed,
        throttle=0.1,
        html=0.04,
        drop_before=0.01,
        drop_after=0.01,
        command=0.02,
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


def test_a_large_plan_is_applied_by_as_many_tasks_as_airflow_maps(
    run: Any, make_sandbox: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The canary's changes come first, every change is written once, and one report tells all of it.

    A longer list Airflow refuses when it comes, behind the canary, when somebody has approved already.
    """
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", "2")  # for the three parts
    sandbox = make_sandbox(leads=6000, contacts=500, plan="self_hosted")
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    assert 2000 < len(released) <= 3000
    before = sandbox.links("lead")
    conf = {**REAL, "canary": 25, "max_changes": len(released)}
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **conf)
    tasks = ["plan", "approve", "canary", "apply", "apply[1]", "check"]
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
        ({"max_failure_share": 10}, {"canary": "success", "apply": "failed"}, 200),
    ],
    ids=["canary", "share of failures"],
)
def test_a_portal_that_refuses_the_changes_is_left_alone_soon_and_a_second_run_finishes_them(
    limits: dict[str, Any], ends: dict[str, str], written: int, run: Any, make_sandbox: Any
) -> None:
    """The check runs all the same, tells what became of every change, and fails the run."""
    sandbox = make_sandbox(leads=1000, contacts=500, plan="self_hosted")
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


def test_an_empty_plan_ends_well_and_says_that_nothing_matches(
    run: Any, make_sandbox: Any, capsys: Any
) -> None:
    sandbox = make_sandbox(leads=100, contacts=100, plan="self_hosted")
    conf = {"dry_run": False, "filter": {"=id": 10**6}}  # nobody is asked, either
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **conf)
    assert states == dict.fromkeys(["plan", "approve", "canary", "apply", "check"], "success")
    said = "no lead matches what the plan is about"
    for place in ("report.html", "plan/summary.md"):
        assert said in (folder_of(done) / place).read_text()
    assert f"Nobody is asked: the plan is empty: {said}" in capsys.readouterr().out
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize(
    ("answers", "refusal"),
    [
        ({"timezone": "Mars/Phobos"}, "Time zone (timezone): 'Mars/Phobos' is not accepted; "),
        ({"quiet_hours": "08:00-08:00"}, "Quiet hours (quiet_hours): '08:00-08:00' is not accepted; "),
        ({"filter": {"stageId": ""}}, "Further filter (filter): nothing is given for stageId"),
        ({"filter": {"assignedById": "Anna"}}, "Further filter (filter): {'assignedById': 'Anna'} is not "),
    ],
    ids=["time zone", "quiet hours", "no value", "a name for a number"],
)
def test_an_answer_that_cannot_be_right_is_refused_by_the_plan(
    answers: dict[str, Any], refusal: str, run: Any, make_sandbox: Any, capsys: Any
) -> None:
    """The form cannot tell that it is wrong, and nobody is to approve what then cannot be applied.

    What a field can hold only the portal knows.
    """
    sandbox = make_sandbox(leads=100, contacts=100, plan="self_hosted")
    done, states = run(CLEANUP, sandbox, {"plan": "self_hosted"}, **{**REAL, **answers})
    behind = dict.fromkeys(["approve", "canary", "apply", "check"], "upstream_failed")
    assert states == {"plan": "failed", **behind}
    assert done.state == "failed"
    assert refusal in capsys.readouterr().out
    assert sandbox.stats()["admitted"] == ("Anna" in refusal)
    found = run_state(done.dag_id, done.run_id)
    assert found
    assert [(task, said.startswith(refusal)) for task, said in found.why.items()] == [("plan", True)]


def test_a_plan_that_breaks_a_guard_stops_before_anybody_is_asked(run: Any, make_sandbox: Any) -> None:
    sandbox = make_sandbox(leads=500, contacts=100, plan="self_hosted")
    conf = {"dry_run": False, "max_share": 1}
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
            {"closed_days": 0, "phone_region": "ru"},
        ),
    ],
    ids=["as the form begins", "all rules"],
)
def test_deals_end_exactly_as_the_truth_says_and_a_second_run_writes_nothing(
    rules: list[str] | None, truth: str, options: dict[str, Any], run: Any, make_sandbox: Any
) -> None:
    sandbox = make_sandbox(leads=200, deals=600, contacts=400, plan="self_hosted")
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
