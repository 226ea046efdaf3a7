"""What operators log: sentences for a person, and none about nothing."""

from __future__ import annotations

import pickle
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException, AirflowSkipException

from airflow_bitrix.core.errors import InvalidInput, PlanRefused, Rejected
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.hooks.failures import WHY
from airflow_bitrix.operators import contact_links
from airflow_bitrix.operators.contact_links import Bitrix24LeadContactItemsGetOperator
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24ApproveLinkPlanOperator,
    Bitrix24CanaryLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkRestoreOperator,
)

Logged = Callable[[], list[str]]


@pytest.fixture
def sandbox(make_sandbox: Any, portals: Any) -> Any:
    """A portal behind the connection, on which nobody else works."""
    sandbox = make_sandbox(leads=60, contacts=50, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)
    return sandbox


def test_a_task_that_fails_says_why_in_a_line_of_its_own(tmp_path: Path, logged: Logged) -> None:
    """Once, though errors pass several of our layers; the traceback behind it has no frame of these."""
    apply = Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=str(tmp_path), plan_hash="abc")
    with pytest.raises(PlanRefused) as caught:
        apply.execute({})
    ours = [frame.name for frame in caught.traceback if "airflow_bitrix" in str(frame.path)]
    assert ours[-2:] == ["execute", "wrapped"]
    assert len(caught.traceback) <= len(("this test", "Airflow's own", *ours[-2:]))
    assert caught.value.__suppress_context__
    assert logged() == [f"error: there is no plan in {tmp_path}"]


def test_a_task_that_fails_leaves_its_sentence_for_the_report_tab(tmp_path: Path, logged: Logged) -> None:
    """Where even that fails, it fails for its own reason all the same."""
    left: dict[str, str] = {}

    def keep(*, key: str, value: str) -> None:
        left[key] = value

    def fail(**_: str) -> None:
        raise OSError

    for push in (keep, fail):
        with pytest.raises(PlanRefused):
            Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=str(tmp_path), plan_hash="abc").execute(
                {"ti": SimpleNamespace(xcom_push=push)}  # type: ignore[typeddict-item]
            )
    assert left == {WHY: f"there is no plan in {tmp_path}"}
    assert logged() == [f"error: there is no plan in {tmp_path}"] * 2


def test_a_webhook_that_was_pasted_for_a_folder_keeps_its_secret(logged: Logged) -> None:
    left: list[str] = []

    def keep(**pushed: str) -> None:
        left.append(pushed["value"])

    given = "acme.bitrix24.com/rest/1/s3cr3tc0de/"
    for make in (
        lambda: Bitrix24PlanLinkRestoreOperator(task_id="plan", snapshot=given),
        lambda: Bitrix24PlanLinkRestoreOperator(task_id="plan", journal=given),
        lambda: Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=given, plan_hash="abc"),
    ):
        with pytest.raises(PlanRefused) as caught:
            make().execute({"ti": SimpleNamespace(xcom_push=keep)})  # type: ignore[typeddict-item]
        left.append(str(caught.value))
    told = "\n".join([*left, *logged()])
    assert told.count("acme.bitrix24.com/rest/1/***") == 9
    assert "s3cr3tc0de" not in told


@pytest.mark.usefixtures("sandbox")
def test_a_folder_that_cannot_be_written_is_told_in_a_line(tmp_path: Path, logged: Logged) -> None:
    (tmp_path / "file").touch()
    plan = Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["fix_primary"], artifacts_path=str(tmp_path / "file" / "run")
    )
    with pytest.raises(NotADirectoryError):
        plan.execute({})
    assert [line for line in logged() if line.startswith("error")] == [
        f"error: {tmp_path}/file/run: Not a directory"
    ]


def test_an_approval_that_fails_says_why(tmp_path: Path, logged: Logged) -> None:
    given = {"plan": str(tmp_path), "hash": "abc", "parts": []}
    with pytest.raises(PlanRefused):
        Bitrix24ApproveLinkPlanOperator(task_id="approve", plan=given).execute({})
    assert logged() == [f"error: there is no plan in {tmp_path}"]


def test_a_task_that_is_skipped_logs_no_error(logged: Logged) -> None:
    rejected = {"approval": {"answer": "rejected"}}
    with pytest.raises(AirflowSkipException):
        Bitrix24CheckLinkPlanOperator(task_id="check", plan=rejected).execute({})
    assert logged() == []


@pytest.mark.usefixtures("sandbox")
def test_an_error_that_a_caller_catches_is_not_logged(logged: Logged) -> None:
    with pytest.raises(Rejected):
        Bitrix24Hook().call("crm.lead.get", {"id": 999_999})
    assert not [line for line in logged() if line.startswith("error")]


def test_an_error_has_the_name_that_the_documentation_gives_it() -> None:
    """Airflow shows the name of the class ahead of the sentence."""
    with pytest.raises(InvalidInput) as caught:
        Bitrix24LeadContactItemsGetOperator(task_id="get", owner_id=0).execute({})
    assert isinstance(caught.value, AirflowFailException)
    assert type(caught.value).__name__ == "InvalidInput"
    again = pickle.loads(pickle.dumps(caught.value))  # noqa: S301 (our own error)
    assert (type(again), str(again)) == (type(caught.value), str(caught.value))


# -- the thirty operators -----------------------------------------------------------------------------------

CALLS: list[tuple[str, dict[str, Any], str]] = [
    ("Add", {"contact_id": 2}, "crm.lead.contact.add: lead 61: contact 2 linked"),
    (
        "Add",
        {"contact_id": 1},
        "crm.lead.contact.add: lead 61: contact 1 was linked already; nothing changed",
    ),
    ("Delete", {"contact_id": 1}, "crm.lead.contact.delete: lead 61: contact 1 unlinked"),
    (
        "Delete",
        {"contact_id": 2},
        "crm.lead.contact.delete: lead 61: contact 2 was not linked; nothing changed",
    ),
    ("ItemsGet", {}, "crm.lead.contact.items.get: lead 61: 1 contact: 1"),
    (
        "ItemsSet",
        {"items": [3, {"CONTACT_ID": 2}]},
        "crm.lead.contact.items.set: lead 61: all links replaced, now 2 contacts: 3, 2",
    ),
    ("ItemsDelete", {}, "crm.lead.contact.items.delete: lead 61: no contact is linked any more"),
]


@pytest.mark.parametrize(("verb", "arguments", "line"), CALLS)
def test_a_link_operator_logs_owner_contact_and_what_came_of_it(
    verb: str, arguments: dict[str, Any], line: str, sandbox: Any, logged: Logged
) -> None:
    """In one line, with ids and nothing else."""
    lead = sandbox.state.add("lead", {"TITLE": "Lead", "CONTACT_IDS": [1]})
    operator = getattr(contact_links, f"Bitrix24LeadContact{verb}Operator")
    operator(task_id="it", owner_id=lead, **arguments).execute({})
    assert logged() == [f"info: {line}"]


def test_the_lines_of_a_contact_s_links_speak_of_companies(sandbox: Any, logged: Logged) -> None:
    ada = sandbox.state.add("contact", {"NAME": "Ada"})

    def run(verb: str, **arguments: Any) -> None:
        operator = getattr(contact_links, f"Bitrix24ContactCompany{verb}Operator")
        operator(task_id="it", owner_id=ada, **arguments).execute({})

    run("Add", company_id=3)
    run("Add", company_id=3)
    run("ItemsSet", items=[4, {"COMPANY_ID": 3}])
    run("ItemsGet")
    run("Delete", company_id=3)
    run("Delete", company_id=3)
    run("ItemsDelete")
    run("ItemsGet")
    said = [line.partition(f": contact {ada}: ")[2] for line in logged()]
    assert said == [
        "company 3 linked",
        "company 3 was linked already; nothing changed",
        "all links replaced, now 2 companies: 4, 3",
        "2 companies: 4, 3",
        "company 3 unlinked",
        "company 3 was not linked; nothing changed",
        "no company is linked any more",
        "no companies",
    ]


def test_where_an_answer_was_lost_nobody_says_that_nothing_changed(sandbox: Any, logged: Logged) -> None:
    """It is this task that has linked the contact then, and the repeat that finds it linked."""
    lead = sandbox.state.add("lead", {"TITLE": "Lead", "CONTACT_IDS": [1]})
    sandbox.set_faults(drop_after=1.0)

    def cut_one() -> None:
        while not sandbox.stats()["faults"]:
            time.sleep(0.01)
        sandbox.clear_faults()

    threading.Thread(target=cut_one).start()
    contact_links.Bitrix24LeadContactAddOperator(task_id="it", owner_id=lead, contact_id=2).execute({})
    said = f"lead {lead}: contact 2 was linked already, or it is so by an earlier try of this call"
    assert logged() == [f"info: crm.lead.contact.add: {said} whose answer was lost"]


@pytest.mark.usefixtures("sandbox")
def test_what_a_method_answers_stays_out_of_the_log(logged: Logged) -> None:
    """Fields of a lead are personal data."""
    contact_links.Bitrix24MethodOperator(
        task_id="it", api_method="crm.lead.get", api_params={"id": 1}
    ).execute({})
    contact_links.Bitrix24LeadContactFieldsOperator(task_id="it").execute({})
    assert logged() == [
        "info: crm.lead.get: done",
        "info: crm.lead.contact.fields: the fields of a link are SORT, IS_PRIMARY, CONTACT_ID",
    ]


# -- plans and snapshots ------------------------------------------------------------------------------------


def test_a_canary_says_why_it_tries_nothing(sandbox: Any, tmp_path: Path, logged: Logged) -> None:
    made = plan_of_one(tmp_path, free_lead(sandbox))
    empty = plan_of_one(tmp_path / "empty", 10**6)
    logged()
    for given, first, is_dry_run, why in (
        (empty, 5, False, "the plan is empty"),
        (made, 5, True, "this is a dry run, which writes nothing"),
        (made, 0, False, "it is switched off (first is 0)"),
    ):
        Bitrix24CanaryLinkPlanOperator(
            task_id="canary", plan=given, first=first, is_dry_run=is_dry_run, needs_approval=False
        ).execute({})
        assert logged() == [f"info: Nothing is tried first: {why}"]


def test_a_dry_run_says_that_nothing_was_written(sandbox: Any, tmp_path: Path, logged: Logged) -> None:
    made = plan_of_one(tmp_path, free_lead(sandbox))
    assert "info: 1 lead to change" in logged()
    Bitrix24ApplyLinkPlanOperator(task_id="apply", plan=made, part=0).execute({})
    lines = logged()
    assert lines[-2:] == [
        "info: Outcomes of 1 lead: 1 skipped",
        "info: Dry run: nothing was written to the portal.",
    ]
    Bitrix24ApplyLinkPlanOperator(
        task_id="apply", plan=made, part=0, is_dry_run=False, needs_approval=False
    ).execute({})
    assert not [line for line in logged() if "nothing was written" in line]


@pytest.mark.usefixtures("sandbox")
def test_an_empty_plan_makes_no_lines_about_nothing(tmp_path: Path, logged: Logged) -> None:
    made = plan_of_one(tmp_path, 999_999)
    assert made["changes"] == 0
    assert "info: Nothing to change" in logged()
    Bitrix24ApplyLinkPlanOperator(
        task_id="apply", plan=made, part=[], is_dry_run=False, needs_approval=False
    ).execute({})
    assert logged() == ["info: The plan is empty: nothing was written to the portal."]
    Bitrix24CheckLinkPlanOperator(task_id="check", plan=made).execute({})
    assert not [line for line in logged() if "checked" in line or "a second" in line]


@pytest.mark.usefixtures("sandbox")
def test_paths_are_followed_by_where_people_look(logged: Logged) -> None:
    """The log cuts long paths off. Where a folder is not the run's, the tab does not show it."""
    ti = SimpleNamespace(task_id="leads", map_index=-1)
    context: Any = {"ti": ti, "dag": SimpleNamespace(dag_id="lines"), "run_id": "one"}
    Bitrix24ExportContactLinksOperator(task_id="leads", compare_with="previous").execute(context)
    lines = logged()
    assert lines[-1] == "info: See the tab Bitrix24 report of this run."
    assert lines[-2].startswith("info: Report: /")
    assert not [line for line in lines if "owner" in line]


def test_a_snapshot_counts_leads_and_their_links(sandbox: Any, tmp_path: Path, logged: Logged) -> None:
    Bitrix24ExportContactLinksOperator(
        task_id="leads", filter={"id": 1}, artifacts_path=str(tmp_path)
    ).execute({})
    links = len(sandbox.links("lead")["1"]["links"])
    assert logged()[-1] == f"info: 1 lead, {links} contact link{'s' * (links != 1)}"


def free_lead(sandbox: Any) -> int:
    """Give a lead that a clean-up releases."""
    return int(next(iter(sandbox.truth()["expected"]["release_repeat_leads"]["released"])))


def plan_of_one(folder: Path, lead: int) -> Any:
    """Plan the release of one lead."""
    plan = Bitrix24PlanLinkCleanupOperator(
        task_id="plan", rules=["release_repeat_leads"], filter={"id": lead}, artifacts_path=str(folder)
    )
    return plan.execute({})
