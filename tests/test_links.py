"""Addresses in Airflow, as its pages have them."""

from __future__ import annotations

from airflow_bitrix.links import question_address, report_address, run_address, task_address

RUN = "manual__2026-11-21T10:00:00+00:00"
THERE = "dags/clean%2Fup/runs/manual__2026-11-21T10%3A00%3A00%2B00%3A00"


def test_the_addresses_of_a_run_name_what_they_are_of() -> None:
    assert run_address("clean/up", RUN) == THERE
    assert task_address("clean/up", RUN, "apply", 2) == f"{THERE}/tasks/apply/mapped/2"
    assert (
        question_address("clean/up", RUN, "deals.approve") == f"{THERE}/tasks/deals.approve/required_actions"
    )
    assert report_address("clean/up", RUN, "plan") == f"{THERE}/plugin/bitrix24_report?task=plan"
