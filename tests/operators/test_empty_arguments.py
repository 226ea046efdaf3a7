"""What an argument that came out empty means: never more owners, and never another place for files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.files.snapshots import SnapshotWriter
from airflow_bitrix.operators.contact_links import (
    Bitrix24LeadContactFieldsOperator,
    Bitrix24MethodOperator,
)
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApproveLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24PlanLinkRestoreOperator,
)
from airflow_bitrix.pipelines.trigger_forms import OWNERS
from tests.operators.rendered import rendered

PORTAL = "https://acme.bitrix24.com"


@pytest.fixture(autouse=True)
def _connection(monkeypatch: pytest.MonkeyPatch) -> None:
    found = f'{{"conn_type": "bitrix24", "password": "{PORTAL}/rest/1/abc123/"}}'
    monkeypatch.setenv("AIRFLOW_CONN_BITRIX24_DEFAULT", found)


def clean_up(**arguments: Any) -> Any:
    return rendered(Bitrix24PlanLinkCleanupOperator, task_id="plan", rules=["fix_primary"], **arguments)


def restore(folder: Path, **arguments: Any) -> Any:
    with SnapshotWriter(folder) as snapshot:
        snapshot.add(LinkSet(Owner("deal", 5), (ContactLink(17, 10, is_primary=True, role_id=0),)))
        snapshot.finish(kind="deal", portal=PORTAL, created="", detail="full")
    return rendered(Bitrix24PlanLinkRestoreOperator, task_id="plan", snapshot=str(folder), **arguments)


@pytest.mark.parametrize("argument", ["owners", "owners_file"])
def test_an_empty_text_for_the_only_owners_brings_no_others_back(tmp_path: Path, argument: str) -> None:
    with pytest.raises(InvalidInput, match=rf"^{argument}: '' is not accepted; accepted: "):
        restore(tmp_path, **{argument: ""}).plan_rules()
    for left_open in (None, "None"):
        assert restore(tmp_path, **{argument: left_open}).plan_rules() == ("restore",)


def test_an_empty_list_is_not_all(tmp_path: Path) -> None:
    """As of a task that found nobody."""
    with pytest.raises(InvalidInput, match=r"^owners: \[\] is not accepted; accepted: a list of ids"):
        restore(tmp_path, owners=[]).plan_rules()
    with pytest.raises(InvalidInput, match=r"^stages: \[\] is not accepted; accepted: a list of stage ids"):
        clean_up(stages=[]).plan_rules()


def test_an_empty_text_for_a_file_of_owners_is_not_all_owners() -> None:
    with pytest.raises(
        InvalidInput, match=r"^owners_file: '' is not accepted; accepted: the path or address of a file"
    ):
        clean_up(owners_file="").plan_rules()
    for left_open in (None, "None"):  # in a DAG without native objects the form's template comes to the text
        assert clean_up(owners_file=left_open).plan_rules() == ("fix_primary",)
    assert OWNERS["owners_file"] == "{{ params.owners_file }}"


@pytest.mark.parametrize("given", [None, "", "None"])
def test_files_for_which_a_template_gives_no_folder_go_where_they_go_by_default(given: str | None) -> None:
    assert clean_up(artifacts_path=given).own_folder is None


@pytest.mark.parametrize("given", ["", "None", 0, False, 5, {PORTAL: True}])
def test_a_list_of_portals_that_is_none_does_not_open_all(given: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^portals: .* accepted: a list of addresses"):
        clean_up(portals=given)._guards()


@pytest.mark.parametrize("given", ["", "None", 0, ["canary"]])
def test_what_the_tasks_behind_go_by_is_a_dict_or_left_open(given: Any) -> None:
    plan = clean_up(quiet=given)
    with pytest.raises(
        InvalidInput, match=r"^quiet: .* accepted: a dict with quiet_hours and timezone, or None"
    ):
        plan._quiet_hours()
    approve = rendered(Bitrix24ApproveLinkPlanOperator, task_id="approve", plan={}, applied_by=given)
    with pytest.raises(InvalidInput, match=r"^applied_by: .* accepted: a dict with canary, max_failed"):
        approve._check_orders()


@pytest.mark.parametrize("given", [None, "", "no"])
def test_a_switch_that_no_template_reaches_is_checked_when_the_dag_is_parsed(given: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^deferrable: .* accepted: True or False"):
        Bitrix24LeadContactFieldsOperator(task_id="fields", deferrable=given)
    with pytest.raises(InvalidInput, match=r"^ordered: .* accepted: True or False"):
        Bitrix24ExportContactLinksOperator(task_id="leads", ordered=given)


def test_a_way_of_matching_is_checked_though_the_migration_needs_none() -> None:
    with pytest.raises(InvalidInput, match=r"^match: '' .* 'origin' or 'same_origin' or 'field' or 'map'"):
        Bitrix24PlanLinkMigrationOperator(task_id="plan", migration="lead_to_deal", match="")


@pytest.mark.parametrize("given", [None, "", "None"])
def test_a_template_that_names_no_method_calls_none(given: Any) -> None:
    task = rendered(Bitrix24MethodOperator, task_id="call", api_method=given)
    with pytest.raises(InvalidInput, match=r"^api_method: .* accepted: the name of a REST method"):
        task.parameters()
