"""Plan and apply: what may not run is refused before the first write."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput, PlanRefused
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.operators.link_plans import Bitrix24ApplyLinkPlanOperator, Bitrix24PlanLinkCleanupOperator
from airflow_bitrix.operators.shared.plan_maker import parts_of
from tests.operators import releases
from tests.operators.releases import apply, plan

sandbox = releases.sandbox


def test_plan_and_apply_tell_the_figures(sandbox: Any, tmp_path: Path) -> None:
    truth = sandbox.truth()["expected"]["release_repeat_leads"]
    made = plan(tmp_path)
    assert made["changes"] == len(truth["released"])
    assert made["left_out"] == {
        "converted": len(truth["converted"]),
        "held by a company": len(truth["held_by_company"]),
    }
    dry = apply(tmp_path, made, is_dry_run=True)
    assert dry["counts"]["skipped"] == made["changes"]
    assert sandbox.stats()["writes"] == 0
    done = apply(tmp_path, made)
    assert done["counts"] == {
        "applied": made["changes"],
        "already": 0,
        "drift": 0,
        "failed": 0,
        "skipped": 0,
    }
    assert done["complete"]
    assert Path(done["report"]).read_text().startswith("<!doctype html>")


def edit_part(folder: Path) -> None:
    part = folder / "plan" / "part-00000.jsonl"
    part.write_text(part.read_text().replace('"after":[]', '"after":[[1,10,true,0]]', 1))


def cut_part(folder: Path) -> None:
    part = folder / "plan" / "part-00000.jsonl"
    part.write_text("".join(part.read_text().splitlines(keepends=True)[:-1]))


def edit_guard(folder: Path) -> None:
    manifest = folder / "plan" / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"max_changes": null', '"max_changes": 9'))


def make_another(folder: Path) -> None:
    plan(folder, max_changes=10**6)


def remove_plan(folder: Path) -> None:
    (folder / "plan" / "manifest.json").unlink()


@pytest.mark.parametrize(
    ("meddle", "said"),
    [
        (edit_part, "part-00000.jsonl .* was edited"),
        (cut_part, "part-00000.jsonl .* was edited"),
        (edit_guard, "manifest .* was edited"),
        (make_another, "is not the one with hash"),
        (remove_plan, "there is no plan"),
    ],
)
def test_a_plan_that_is_not_the_one_that_was_made_is_refused(
    meddle: Any, said: str, sandbox: Any, tmp_path: Path
) -> None:
    made = plan(tmp_path)
    meddle(tmp_path)
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match=said) as refused:
        apply(tmp_path, made)
    assert isinstance(refused.value, AirflowFailException)
    assert sandbox.stats()["admitted"] == 0


def test_a_plan_for_another_portal_is_refused(
    sandbox: Any, make_sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = plan(tmp_path)
    other = make_sandbox(leads=500, contacts=300, plan="self_hosted")
    monkeypatch.setenv(
        "AIRFLOW_CONN_BITRIX24_DEFAULT", json.dumps({"conn_type": "bitrix24", "password": other.webhook_url})
    )
    with pytest.raises(
        PlanRefused, match=f"is for {sandbox.base_url}, the connection leads to {other.base_url}"
    ):
        apply(tmp_path, made)
    assert other.stats()["admitted"] == 0


def test_a_plan_with_more_changes_than_allowed_is_made_but_not_applied(sandbox: Any, tmp_path: Path) -> None:
    made = plan(tmp_path, max_changes=5)
    assert made["changes"] > 5
    assert apply(tmp_path, made, is_dry_run=True)["counts"]["skipped"] == made["changes"]
    sandbox.reset_stats()
    with pytest.raises(PlanRefused, match=rf"it has {made['changes']} changes, and max_changes allows 5"):
        apply(tmp_path, made)
    assert sandbox.stats()["admitted"] == 0


@pytest.mark.parametrize(
    ("longest", "parts", "groups"),
    [
        ("1024", 3, [[0], [1], [2]]),
        ("3", 3, [[0], [1], [2]]),
        ("2", 3, [[0, 1], [2]]),
        ("1", 3, [[0, 1, 2]]),
        ("0", 2, [[0, 1]]),
        ("2", 0, []),
        ("100000", 1500, [[at, at + 1] for at in range(0, 1500, 2)]),
    ],
)
def test_parts_are_spread_over_as_many_tasks_as_airflow_maps(
    longest: str, parts: int, groups: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__CORE__MAX_MAP_LENGTH", longest)
    assert parts_of(cast("Any", SimpleNamespace(parts=[{}] * parts))) == groups


def test_a_whole_number_may_be_written_as_a_fraction(sandbox: Any, tmp_path: Path) -> None:
    """To a form, and to JSON, 1000 and 1000.0 are one number; a template makes a text of either."""
    by_age = {"rules": ["unlink_closed"], "rule_options": {"unlink_closed": {"days": 90.0}}}
    for number in (1000, 1000.0, "1000", "1000.0"):
        assert plan(tmp_path, max_changes=number, **by_age)["changes"] > 0
        assert read_manifest(tmp_path / "plan").guards.max_changes == 1000
    assert sandbox.stats()["writes"] == 0


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"rules": []}, "rules"),
        ({"rules": "release_repeat_leads"}, "rules"),
        ({"rules": ["nonsense"]}, "rules"),
        ({"rules": None}, "rules"),
        ({"kind": "contact"}, "kind"),
        ({"kind": "deal"}, "rules"),
        ({"stages": "NEW"}, "stages"),
        ({"stages": [1]}, "stages"),
        ({"stages": ""}, "stages"),
        ({"stages": ["NEW", ""]}, "stages"),
        ({"older_than_days": ""}, "older_than_days"),
        ({"created_from": ""}, "created_from"),
        ({"max_changes": ""}, "max_changes"),
        ({"max_share": ""}, "max_share"),
        ({"max_share": 20}, "max_share"),
        ({"max_share": 1}, "max_share"),
        ({"max_share": "150%"}, "max_share"),
        ({"filter": ""}, "filter"),
        ({"filter": {"categoryId": ""}}, "filter"),
        ({"filter": {"logic": "XOR", "stageId": "NEW"}}, "filter"),
        ({"filter": {"><id": 5}}, "filter"),
        ({"older_than_days": -1}, "older_than_days"),
        ({"older_than_days": "soon"}, "older_than_days"),
        ({"created_from": "soon"}, "created_from"),
        ({"created_from": "2026-11-31"}, "created_from"),
        ({"created_to": "9999-12-31"}, "created_to"),
        ({"created_to": 5}, "created_to"),
        ({"created_from": "2026-11-02", "created_to": "2026-11-01"}, "created_to"),
        ({"created_from": "2026-11-02", "timezone": "Mars/Olympus"}, "timezone"),
        ({"owners_file": 17}, "owners_file"),
        ({"owners_file": ""}, "owners_file"),
        ({"owners_file": [5, 17]}, "owners_file"),
        ({"owners_file": "abfs://bucket/failed.csv"}, "owners_file"),
        ({"owners_file": "5\n17\n" * 200}, "owners_file"),
        ({"artifacts_path": "ftpx://host/folder"}, "artifacts_path"),
        ({"quiet": {"quiet_hours": "08:00-08:00", "timezone": "UTC"}}, "quiet_hours"),
        ({"quiet": {"quiet_hours": "8-20", "timezone": "UTC"}}, "quiet_hours"),
        ({"quiet": {"quiet_hours": "", "timezone": "Mars/Olympus"}}, "timezone"),
        ({"max_changes": -5}, "max_changes"),
        ({"max_changes": 1.5}, "max_changes"),
        ({"max_changes": -1.0}, "max_changes"),
        ({"max_changes": "1.0.0"}, "max_changes"),
        ({"max_changes": float("inf")}, "max_changes"),
        ({"max_changes": float("nan")}, "max_changes"),
        ({"filter": "id>5"}, "filter"),
        ({"filter": {"=isReturnCustomer": "N"}}, "filter"),
        ({"filter": {"@stageId": ["NEW"]}, "stages": ["JUNK"]}, "filter"),
    ],
)
def test_a_plan_s_parameter_that_cannot_be_right_is_refused_by_name(
    arguments: dict[str, Any], argument: str, sandbox: Any, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: .* accepted: ") as refused:
        plan(tmp_path, **arguments)
    assert isinstance(refused.value, AirflowFailException)
    assert sandbox.stats()["admitted"] == 0


def test_an_artifacts_root_that_nothing_can_open_stops_only_who_needs_it(
    sandbox: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AIRFLOW__BITRIX24__ARTIFACTS_PATH", "ftpx://host/folder")
    ti = SimpleNamespace(task_id="plan", map_index=-1)
    context: Any = {"dag": SimpleNamespace(dag_id="dag"), "run_id": "run", "ti": ti}
    rules = ["release_repeat_leads"]
    with pytest.raises(InvalidInput, match=r"^\[bitrix24\] artifacts_path: 'ftpx://host/folder'") as refused:
        Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=rules).execute(context)
    assert isinstance(refused.value, AirflowFailException)
    assert sandbox.stats()["admitted"] == 0
    task = Bitrix24PlanLinkCleanupOperator(task_id="plan", rules=rules, artifacts_path=str(tmp_path))
    assert task.execute(context)["plan"] == str(tmp_path / "plan")


@pytest.mark.parametrize(
    ("kind", "stages", "said"),
    [
        ("lead", ["NOPE"], r"stages: 'NOPE' .* NEW \(Unassigned\), IN_PROCESS \(In progress\), .*JUNK"),
        ("lead", ["NEW", "WON", "NOPE"], "stages: 'WON, NOPE' "),
        ("lead", ["C3:NEW"], "stages: 'C3:NEW' "),
        ("lead", ["Unassigned"], r"stages: 'Unassigned' .* NEW \(Unassigned\)"),
        ("deal", ["JUNK"], "stages: 'JUNK' .* NEW .*, APOLOGY"),
        ("deal", ["C3:NOPE"], r"stages: 'C3:NOPE' .* accepted: C3:NEW \(New\), C3:PREPARATION"),
        ("deal", ["C4:NEW"], "stages: 'C4:NEW' .* no pipeline of deals has such"),
    ],
)
def test_a_stage_that_the_portal_does_not_have_is_refused_by_name(
    kind: str, stages: list[str], said: str, sandbox: Any, tmp_path: Path
) -> None:
    """The portal itself finds nothing for it, as if there were nothing to do."""
    with pytest.raises(InvalidInput, match=f"^{said}") as refused:
        plan(tmp_path, kind=kind, rules=["fix_primary"], stages=stages)
    assert isinstance(refused.value, AirflowFailException)
    assert sandbox.stats()["methods"] == {"batch": 1}


def test_what_a_portal_knows_is_asked_for_where_stages_or_a_filter_are_given_in_one_request(
    make_sandbox: Any, portals: Any, tmp_path: Path
) -> None:
    sandbox = make_sandbox(leads=500, deals=300, contacts=300, plan="self_hosted")
    portals.connect(bitrix24_default=sandbox)

    def asked(**arguments: Any) -> int:
        sandbox.reset_stats()
        assert plan(tmp_path, kind="deal", rules=["fix_primary"], **arguments)["read"] > 0
        return int(sandbox.stats()["admitted"])

    every = asked()
    assert asked(stages=["NEW", "c3:new", "C3:WON"]) <= every + 1
    assert (
        asked(stages=["NEW", "C3:NEW"], filter={"0": {"categoryId": [0, 3]}, ">opportunity": 0}) <= every + 1
    )


def test_where_the_portal_does_not_tell_its_stages_the_plan_is_made_all_the_same(
    sandbox: Any, tmp_path: Path, caplog: Any
) -> None:
    sandbox.set_switches(missing_methods=["crm.status.list"])
    assert plan(tmp_path, stages=["NEW", "NOPE"])["changes"] > 0
    assert "Whether there are such stages cannot be told" in caplog.text
    assert "Method not found!" in caplog.text


@pytest.mark.parametrize(
    ("arguments", "argument"),
    [
        ({"is_dry_run": "no"}, "is_dry_run"),
        ({"is_dry_run": None}, "is_dry_run"),
        ({"max_failed": -1}, "max_failed"),
        ({"plan": None}, "plan"),
        ({"plan": {"hash": "x"}}, "plan"),
        ({"plan": "/some/folder"}, "plan_hash"),
        ({"plan_hash": "another"}, "plan_hash"),
    ],
)
def test_an_apply_s_parameter_that_cannot_be_right_is_refused_by_name(
    arguments: dict[str, Any], argument: str, sandbox: Any, tmp_path: Path
) -> None:
    made = plan(tmp_path)
    sandbox.reset_stats()
    with pytest.raises(InvalidInput, match=rf"^{argument}: "):
        apply(tmp_path, made, **arguments)
    assert sandbox.stats()["admitted"] == 0


def test_an_or_at_the_top_of_the_filter_narrows_the_plan_and_never_widens_it(
    sandbox: Any, tmp_path: Path
) -> None:
    released = sandbox.truth()["expected"]["release_repeat_leads"]["released"]
    wanted = {"logic": "OR", "=id": released[3], "@id": [released[5], 1, 2, 3]}
    plan(tmp_path, filter=wanted)
    lines = (tmp_path / "plan" / "part-00000.jsonl").read_text().splitlines()
    planned = {line["owner"] for line in map(json.loads, lines)}
    assert planned == {released[3], released[5], *({1, 2, 3} & set(released))}


def test_a_scan_that_the_portal_ends_leaves_no_plan_behind(sandbox: Any, tmp_path: Path) -> None:
    plan(tmp_path)
    sandbox.set_switches(scope=["user"])
    with pytest.raises(Bitrix24Error, match="lacks the scope"):
        plan(tmp_path)
    assert not (tmp_path / "plan" / "manifest.json").exists()


@pytest.mark.usefixtures("sandbox")
def test_pairs_of_plan_and_apply_in_one_run_have_folders_of_their_own() -> None:
    dag, run_id = SimpleNamespace(dag_id="лиды"), "manual__2026-11-21T20:00:00+00:00"
    tasks = [("new", -1, ["NEW"]), ("mapped", 0, ["JUNK"]), ("mapped", 1, ["IN_PROCESS"])]
    made = []
    for task_id, index, stages in tasks:
        context: Any = {"dag": dag, "run_id": run_id, "ti": SimpleNamespace(task_id=task_id, map_index=index)}
        rules = ["release_repeat_leads"]
        planner = Bitrix24PlanLinkCleanupOperator(task_id=task_id, rules=rules, stages=stages)
        made.append(planner.execute(context))
    done = [
        Bitrix24ApplyLinkPlanOperator(
            task_id="apply", plan=one, is_dry_run=False, needs_approval=False
        ).execute(context)
        for one in made
    ]
    assert len({one["plan"] for one in made}) == len({one["report"] for one in done}) == 3
    assert [one["counts"]["applied"] for one in done] == [one["changes"] for one in made]
    assert all(one["changes"] for one in made)
    assert "лиды" in made[0]["plan"]


def test_a_portal_that_leaves_links_out_of_its_lists_is_named_in_plan_and_apply(
    sandbox: Any, tmp_path: Path
) -> None:
    sandbox.set_switches(hide_contact_ids=True)
    made = plan(tmp_path)
    assert made["hidden_links"] == made["read"] > 0
    done = apply(tmp_path, made)
    assert done["counts"]["applied"] == made["changes"]
    # the plan's looks, and apply's before and after each write
    assert done["hidden_links"] >= made["read"] + 2 * made["changes"]
    assert "they were read by items.get" in Path(done["report"]).read_text()


def test_a_file_of_owners_with_other_things_in_it_is_refused(sandbox: Any, tmp_path: Path) -> None:
    path = tmp_path / "owners.csv"
    path.write_text("owner;owner_id\nlead;5\ndeal;6\nlead;x\n")
    with pytest.raises(InvalidInput, match="line 3: a deal, not a lead; line 4: it is no id"):
        plan(tmp_path, owners_file=str(path))
    path.write_text("owner_id\n")
    assert plan(tmp_path, owners_file=str(path))["read"] == 0
    assert sandbox.stats()["writes"] == 0
