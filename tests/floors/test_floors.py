"""The wheel beside the oldest and the newest Airflow that it claims to work with, and those between them.

``make test-floors`` runs this; docs/versions.md tells what of it works where.
"""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

import requests
from packaging.version import Version
from playwright.sync_api import Page, expect

from airflow_bitrix.get_provider_info import get_provider_info
from scripts.airflow_api import READING, USER
from scripts.environments import STORED, frozen
from scripts.local_sandbox import ROOT, difference
from tests.ui.screens import Form

if TYPE_CHECKING:
    from tests.floors.conftest import Installed, Place

CLEANUP = "bitrix24_lead_link_cleanup"
CONNECTION_TYPE = get_provider_info()["connection-types"][0]


def test_the_wheel_is_installed_beside_the_versions_of_the_set(installed: Installed) -> None:
    """Nothing was moved for its sake, and nothing is missing that anybody asks for."""
    found = frozen(installed.python)
    assert found["airflow-bitrix"].endswith(".whl")
    held = installed.pins.items()
    assert {name: found[name] for name, pin in held if found.get(name, pin) != pin} == {}
    import_it = "import airflow_bitrix; print(airflow_bitrix.__file__)"
    assert Path(installed.says("-c", import_it).strip()).is_relative_to(installed.python.parents[1])


BUNDLES = """
from airflow.dag_processing.bundles.manager import DagBundlesManager
print(*(bundle.path for bundle in DagBundlesManager().get_all_dag_bundles()), sep="\\n")
"""


def test_the_sample_dags_appear_by_themselves_where_airflow_looks_for_them(
    installed: Installed, tmp_path: Path
) -> None:
    given = {"AIRFLOW_HOME": str(tmp_path), "AIRFLOW__CORE__LOAD_EXAMPLES": "True"}
    told = installed.says("-c", BUNDLES, **given).splitlines()
    found = [line for line in told if line.endswith("airflow_bitrix/example_dags")]
    assert len(found) == (installed.airflow >= Version("3.3"))


def test_all_sample_dags_load(place: Place) -> None:
    assert place.samples == {file.stem for file in (ROOT / "dags").glob("bitrix24_*.py")}
    for name in sorted(place.samples):
        place.airflow.wait_for_dag(name)
    assert place.airflow.call("GET", "/api/v2/importErrors")["import_errors"] == []


def test_airflow_lists_the_provider_and_its_plugin(place: Place) -> None:
    providers = place.airflow.call("GET", "/api/v2/providers", params={"limit": 200})["providers"]
    assert "airflow-bitrix" in [provider["package_name"] for provider in providers]
    plugins = place.airflow.call("GET", "/api/v2/plugins")["plugins"]
    (ours,) = [plugin for plugin in plugins if plugin["name"] == "airflow_bitrix"]
    assert [view["name"] for view in ours["external_views"]] == ["Bitrix24 report"]
    assert place.airflow.call("GET", "/api/v2/plugins/importErrors")["import_errors"] == []


def test_the_connection_form_has_all_its_fields_and_words(place: Place) -> None:
    forms = place.airflow.call("GET", "/ui/connections/hook_meta")
    (form,) = [form for form in forms if form["connection_type"] == "bitrix24"]
    standard = {name: field or {} for name, field in form["standard_fields"].items()}
    told = CONNECTION_TYPE["ui-field-behaviour"]
    assert {name: standard[name]["title"] for name in told["relabeling"]} == told["relabeling"]
    assert {name: standard[name]["placeholder"] for name in told["placeholders"]} == told["placeholders"]
    assert standard["url_schema"]["hidden"] is True
    shown = {name: field["schema"] for name, field in form["extra_fields"].items()}
    fields = CONNECTION_TYPE["conn-fields"]
    assert {name: field["title"] for name, field in shown.items()} == {
        name: field["label"] for name, field in fields.items()
    }
    assert shown["plan"]["enum"] == fields["plan"]["schema"]["enum"]
    assert form["extra_fields"]["plan"]["value"] == "standard"


def test_a_connection_is_tested(place: Place) -> None:
    right = {**place.sandbox.connection(), "connection_id": "bitrix24_tried"}
    for password, said in (
        (right["password"], f"Connected to {place.sandbox.url} as "),
        ("notTheCode1", "The portal does not accept the webhook"),
    ):
        body = {**right, "password": password}
        answer = place.airflow.call("POST", "/api/v2/connections/test", json=body)
        assert answer["status"] is (password == right["password"]), answer
        assert said in answer["message"]
        assert str(right["password"]) not in json.dumps(answer)


def test_a_run_that_rests_is_deferred_and_goes_on(place: Place) -> None:
    run_id, state = place.run("floor_defers")
    assert state == "success"
    log = place.airflow.task_log("floor_defers", run_id, "rest")
    assert [line for line in log if line.startswith("Deferred until ")]
    assert place.airflow.xcom("floor_defers", run_id, "rest")["ADMIN"] is True


def test_the_async_hook_works_in_a_task(place: Place) -> None:
    run_id, state = place.run("floor_async_hook")
    assert state == "success"
    assert place.airflow.xcom("floor_async_hook", run_id, "count") == len(place.leads)


def test_the_async_hook_works_in_a_trigger(place: Place) -> None:
    run_id, state = place.run("floor_trigger")
    assert state == "success"
    assert place.airflow.xcom("floor_trigger", run_id, "count") == len(place.leads)


def test_the_async_hook_works_in_an_async_task(place: Place) -> None:
    """Where Airflow has such tasks: a version before fails them, as docs/versions.md says."""
    run_id, state = place.run("floor_native_async")
    if place.installed.airflow < Version("3.2"):
        assert state == "failed"
        (task,) = place.airflow.task_instances("floor_native_async", run_id)
        log = place.airflow.task_log_file("floor_native_async", run_id, task).read_text()
        # The one sentence is Airflow's, the other that of a standard provider which knows of such tasks.
        assert "coroutine" in log or "Async operators require Airflow 3.2" in log
        return
    assert state == "success"
    assert place.airflow.xcom("floor_native_async", run_id, "count") == len(place.leads)


def test_an_approval_that_nobody_gives_ends(place: Place) -> None:
    run_id, state = place.run("floor_unanswered")
    assert state == "failed"
    assert place.states("floor_unanswered", run_id)["approve"] == "failed"
    log = "\n".join(place.airflow.task_log("floor_unanswered", run_id, "approve"))
    assert "nobody answered in time; nothing was written" in log
    assert place.sandbox.owners("lead") == place.leads


def test_a_dry_run_writes_nothing(place: Place) -> None:
    run_id, state = place.run(CLEANUP)
    assert state == "success"
    counts = place.airflow.xcom(CLEANUP, run_id, "check")["counts"]
    assert counts["skipped"] == len(place.sandbox.released_leads()) > 0
    assert place.sandbox.owners("lead") == place.leads


def test_a_person_sees_the_connection_form(place: Place, page: Page) -> None:
    page.goto(f"{place.airflow.url}/connections")
    page.get_by_role("button", name="Add Connection").click()
    form = Form(page)
    form.choose("Connection Type", "Bitrix24")
    for label in CONNECTION_TYPE["ui-field-behaviour"]["relabeling"].values():
        expect(form.field(label)).to_be_visible()
    expect(form.field("Schema")).to_have_count(0)
    form.open("Extra Fields")
    for field in CONNECTION_TYPE["conn-fields"].values():
        expect(form.field(field["label"])).to_contain_text(field["description"])


def test_a_person_cleans_up_and_exactly_what_was_approved_is_written(place: Place, page: Page) -> None:
    """From the trigger form to the report, by click; then the portal is compared with the truth."""
    released = place.sandbox.released_leads()
    place.airflow.wait_for_dag(CLEANUP)
    place.airflow.unpause(CLEANUP)
    page.goto(f"{place.airflow.url}/dags/{CLEANUP}")
    page.get_by_role("button", name=re.compile("^Trigger")).first.click()
    form = Form(page)
    form.switch("Dry run", on=False)
    form.button("Trigger").click()
    page.wait_for_url("**/runs/*")
    run_id = unquote(page.url.rpartition("/runs/")[2])
    question = place.airflow.wait_for_question(CLEANUP, run_id)
    assert (question["options"], question["params"]) == (["Approve", "Reject"], {}), "and nothing else"
    page.goto(f"{place.airflow.url}/dags/{CLEANUP}/runs/{run_id}/tasks/approve/required_actions")
    expect(page.get_by_text(f"{len(released)} leads to change")).to_be_visible()
    expect(page.get_by_role("button", name="Approve")).to_be_enabled()
    time.sleep(READING)
    page.get_by_role("button", name="Approve").click()
    assert place.airflow.wait_for_run(CLEANUP, run_id) == "success"
    assert place.airflow.xcom(CLEANUP, run_id, "check")["counts"]["applied"] == len(released)
    assert place.airflow.xcom(CLEANUP, run_id, "approve")["approval"]["by"] == USER
    assert difference(place.leads, place.sandbox.owners("lead"), released) == []
    page.goto(f"{place.airflow.url}/dags/{CLEANUP}/runs/{run_id}/plugin/bitrix24_report")
    expect(page.frame_locator("iframe").get_by_text("Done. Every change has its outcome.")).to_be_visible()
    _the_tab_shows_it(place, run_id, len(released))


def _the_tab_shows_it(place: Place, run_id: str, changes: int) -> None:
    """Behind Airflow's own login, by the cookie that a browser sends from the frame of the tab."""
    session = requests.Session()
    session.trust_env = False
    address = f"{place.airflow.url}/bitrix24/report/{CLEANUP}/{quote(run_id, safe='')}/"
    assert session.get(address, timeout=30).status_code == 401
    login = {"username": "admin", "password": place.airflow.password}
    token = session.post(f"{place.airflow.url}/auth/token", json=login, timeout=30).json()["access_token"]
    session.cookies.set("_token", token)
    asked = len(place.asked or ())
    page = session.get(address, timeout=30)
    assert page.status_code == 200
    assert (place.asked is None) == (place.installed.name not in STORED)
    if place.asked is not None:  # by the connection in Airflow's database, which the API server asks itself
        assert len(place.asked) > asked
    assert "Lead link clean-up" in page.text
    rows: dict[str, Any] = session.get(f"{address}rows?task=plan", timeout=30).json()
    assert rows["total"] == changes
    path = f"/api/v2/dags/{CLEANUP}/dagRuns/{run_id}/taskInstances/check/links"
    link = place.airflow.call("GET", path)["extra_links"]["Report"]
    assert link == f"dags/{CLEANUP}/runs/{quote(run_id, safe='')}/plugin/bitrix24_report?task=plan"


def test_the_code_stands_in_no_log(place: Place) -> None:
    """Nor in what the components themselves print."""
    logs = [file for file in place.airflow.home.rglob("*.log") if file.is_file()]
    assert {"scheduler.log", "triggerer.log", "api-server.log"} < {file.name for file in logs}
    assert [file for file in logs if place.sandbox.code in file.read_text(errors="replace")] == []
