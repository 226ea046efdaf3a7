"""What a DAG file says outright is checked when it is parsed, all else when the task runs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowFailException
from airflow.sdk import DAG, XComArg

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.operators.link_plans import (
    Bitrix24ApplyLinkPlanOperator,
    Bitrix24ApproveLinkPlanOperator,
    Bitrix24CheckLinkPlanOperator,
    Bitrix24ExportContactLinksOperator,
    Bitrix24PlanLinkCleanupOperator,
    Bitrix24PlanLinkMigrationOperator,
    Bitrix24PlanLinkRestoreOperator,
    Bitrix24ReconcileContactLinksOperator,
)
from airflow_bitrix.operators.shared.constants import is_constant
from airflow_bitrix.pipelines.carry_out import carry_out


def clean_up(**arguments: Any) -> Any:
    given: dict[str, Any] = {"task_id": "plan", "rules": ["fix_primary"], **arguments}
    return Bitrix24PlanLinkCleanupOperator(**given)


def migrate(**arguments: Any) -> Any:
    given: dict[str, Any] = {"task_id": "plan", "migration": "lead_to_deal", **arguments}
    return Bitrix24PlanLinkMigrationOperator(**given)


def compare(**arguments: Any) -> Any:
    given: dict[str, Any] = {"task_id": "compare", "migration": "lead_to_deal", **arguments}
    return Bitrix24ReconcileContactLinksOperator(**given)


def export(**arguments: Any) -> Any:
    return Bitrix24ExportContactLinksOperator(task_id="leads", **arguments)


def restore(**arguments: Any) -> Any:
    return Bitrix24PlanLinkRestoreOperator(task_id="plan", **{"journal": "/run", **arguments})


def apply(**arguments: Any) -> Any:
    return Bitrix24ApplyLinkPlanOperator(task_id="apply", plan="{{ plan }}", **arguments)


def check(**arguments: Any) -> Any:
    return Bitrix24CheckLinkPlanOperator(task_id="check", plan="{{ plan }}", **arguments)


def approve(**arguments: Any) -> Any:
    return Bitrix24ApproveLinkPlanOperator(task_id="approve", plan="{{ plan }}", **arguments)


def carried_out(**arguments: Any) -> Any:
    with DAG("carried_out", schedule=None):
        return carry_out(clean_up(), **arguments)


@pytest.mark.parametrize(
    ("make", "arguments", "said"),
    [
        (clean_up, {"kind": "contact"}, "kind: 'contact' "),
        (clean_up, {"rules": ["fix_primry"]}, "rules: 'fix_primry' .*fix_primary"),
        (clean_up, {"rules": ["release_repeat_leads"], "kind": "deal"}, "rules: "),
        (clean_up, {"rule_options": {"fix_primary": {"believe": "me"}}}, r"rule_options\['fix_primary'\]"),
        (clean_up, {"stages": "NEW"}, r"stages: 'NEW' .* a list of stage ids"),
        (clean_up, {"older_than_days": -5}, "older_than_days: -5 "),
        (
            clean_up,
            {"created_from": date(2026, 11, 2), "created_to": "2026-11-01"},
            "created_to: '2026-11-01' ",
        ),
        (clean_up, {"timezone": "Mars/Olympus"}, "timezone: 'Mars/Olympus' "),
        (clean_up, {"filter": {"categoryId": ""}}, "filter: nothing is given for categoryId"),
        (clean_up, {"owners_file": ""}, "owners_file: '' .* or None for all owners"),
        (clean_up, {"filter": "stageId=NEW"}, "filter: 'stageId=NEW' "),
        (
            clean_up,
            {"max_share": 20},
            "max_share: 20 is not accepted; accepted: a share as text such as '20%'",
        ),
        (clean_up, {"max_share": 1}, "max_share: 1 is not accepted; .* below 1, or None for no limit"),
        (clean_up, {"max_changes": ""}, "max_changes: '' .* or None for no limit"),
        (clean_up, {"portals": "acme.bitrix24.com"}, "portals: 'acme.bitrix24.com' "),
        (migrate, {"migration": "leads_to_deals"}, "migration: 'leads_to_deals' "),
        (migrate, {"kind": "lead"}, "kind: 'lead' .* 'deal' with lead_to_deal"),
        (migrate, {"filter": {"><id": 5}}, "filter: .* with >= and <="),
        (migrate, {"max_share": "20"}, "max_share: '20' "),
        (compare, {"extra": "drop"}, "extra: 'drop' .* 'keep' or 'remove'"),
        (export, {"kind": "leads"}, "kind: 'leads' "),
        (export, {"detail": "all"}, "detail: 'all' "),
        (export, {"keep": 5}, "keep: 5 .* nothing, unless compare_with is 'previous'"),
        (export, {"filter": ""}, "filter: '' "),
        (approve, {"mode": "sometimes"}, "mode: 'sometimes' "),
        (approve, {"valid_for": ""}, "valid_for: '' "),
        (approve, {"is_dry_run": "no"}, "is_dry_run: 'no' "),
        (restore, {"journal": None}, "journal, snapshot: none of the two is given"),
        (restore, {"snapshot": "/night"}, "journal, snapshot: both are given"),
        (restore, {"owners": "5, 17"}, "owners: '5, 17' .* a list of ids"),
        (restore, {"owners": ["x"]}, "owners: 'x' "),
        (restore, {"owners": [5], "owners_file": "x.csv"}, r"owners: \[5\] .* where owners_file is given"),
        (restore, {"overwrite": "maybe"}, "overwrite: 'maybe' "),
        (apply, {"wait_for_turn": -1, "canary": "{{ params.canary }}"}, "wait_for_turn: -1 "),
        (apply, {"max_failure_share": 20}, "max_failure_share: 20 "),
        (check, {"max_failed": "few"}, "max_failed: 'few' "),
        (compare, {"max_differences": -1}, "max_differences: -1 "),
        (migrate, {"is_dry_run": "no"}, "is_dry_run: 'no' "),
        (carried_out, {"approval": "seldom"}, r"mode: 'seldom' .* never \(carry_out calls it approval\)"),
        (carried_out, {"approve_over": -1}, r"over: -1 .* \(carry_out calls it approve_over\)"),
        (carried_out, {"wait_for_turn": None}, "wait_for_turn: None "),
        (carried_out, {"is_dry_run": None}, "is_dry_run: None "),
        (carried_out, {"max_failure_share": 20}, "max_failure_share: 20 "),
        (carried_out, {"canary": -1}, "canary: -1 "),
        (carried_out, {"quiet_hours": "8 to 18"}, "quiet_hours: '8 to 18' "),
    ],
)
def test_a_constant_that_cannot_be_right_is_the_dag_s_import_error(
    make: Callable[..., Any], arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidInput, match=f"^{said}") as refused:
        make(**arguments)
    assert isinstance(refused.value, AirflowFailException)  # of a mapped task it comes when that runs


def test_what_a_template_or_a_task_gives_is_known_only_when_the_task_runs() -> None:
    with DAG("later", schedule=None):
        before = export()
        later: list[Any] = ["{{ params.x }}", "{% if x %}NEW{% endif %}", before.output["snapshot"]]
        for given in later:
            assert not is_constant(given)
            assert not is_constant({"days": given})
            assert not is_constant(["fix_primary", given])
    assert isinstance(later[-1], XComArg)
    clean_up(rules="{{ params.rules }}", kind="{{ params.kind }}", filter="{{ params.filter }}")
    clean_up(rule_options={"unlink_closed": {"days": "{{ params.days }}"}}, max_share="{{ params.share }}")
    assert is_constant({"days": [1, 2.5, None, True, "NEW", date(2026, 11, 1)]})
