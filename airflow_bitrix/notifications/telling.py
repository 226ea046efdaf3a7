"""What is told of a task, and telling it by any notifiers of Airflow. It never fails the task."""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from airflow.sdk.bases.notifier import BaseNotifier

from airflow_bitrix.compat import conf, redact
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.approvals import named_run, shown_run
from airflow_bitrix.links import question_address, report_address
from airflow_bitrix.report.messages import Event, Told, has_ended, has_failed, is_late, plain

VALUES = "bitrix24"
"""Under this name templates of notifiers find what is told: ``{{ bitrix24.title }}``."""

log = logging.getLogger(__name__)


def told_of(context: Mapping[str, Any]) -> Told:
    """Give what is to be told of a task or run.

    :param context: What Airflow hands to a callback. A task of ours keeps under ``told`` what it has come to.
    """
    if isinstance(ready := context.get(VALUES), Told):
        return ready
    task = context.get("task")
    name = str(getattr(task, "task_display_name", ""))
    told = getattr(task, "told", None)
    if isinstance(deadline := context.get("deadline"), Mapping):
        told = is_late(str(deadline.get("deadline_time", "")))
    elif why := context.get("exception") or context.get("reason"):
        told = has_failed(told or Told(), name, masked(why))
    told = told or has_ended(name)
    dag_id, run_id = _run_of(context)
    if not (dag_id and run_id):
        return told
    report = report_address(dag_id, run_id)
    asking = question_address(dag_id, run_id, getattr(task, "task_id", ""), _index(context))
    return replace(
        told,
        run=plain(shown_run(named_run(dag_id, run_id))),
        report_url=_in_airflow(report),
        approval_url=_in_airflow(asking) if told.event == "approval" else "",
    )


def masked(text: object) -> str:
    """Give a text without the secrets that Airflow masks in its logs: errors of others may hold any.

    Airflow has no public name for that; this one is the same from 3.1.3 to 3.3.2.
    """
    return str(redact(str(text)))


def _run_of(context: Mapping[str, Any]) -> tuple[str, str]:
    """Give the DAG and the run that a context is of; a deadline's has a record of the run alone."""
    if isinstance(run := context.get("dag_run"), Mapping):
        return str(run.get("dag_id") or ""), str(run.get("dag_run_id") or run.get("run_id") or "")
    return str(getattr(context.get("dag"), "dag_id", "")), str(context.get("run_id") or "")


def _index(context: Mapping[str, Any]) -> int:
    index = getattr(context.get("ti"), "map_index", None)
    return -1 if index is None else int(index)


def _in_airflow(address: str) -> str:
    """Give an address in Airflow as the world knows it; nothing where ``[api] base_url`` does not tell."""
    base = (conf.get("api", "base_url", fallback="") or "").rstrip("/")
    return f"{base}/{address}" if base.startswith(("http://", "https://")) else ""


class Telling:
    """Tells what a task has come to; a callback for Airflow.

    :param notifiers: By whom. Each is given a copy of the context that has what is told under ``bitrix24``.
    :param only: The event that is told of; ``None`` for all.
    """

    def __init__(self, notifiers: Sequence[BaseNotifier], only: Event | None = None) -> None:
        self.notifiers = notifiers
        self.only = only

    def __call__(self, context: Mapping[str, Any]) -> None:
        """Tell it. What goes wrong with a notifier is a line in the log."""
        told = told_of(context)
        if self.only not in (None, told.event):
            return
        for notifier in self.notifiers:
            try:
                # A copy, as notifiers keep what their templates came to when they were first called.
                copy.copy(notifier)({**context, VALUES: told})
            except Exception as error:  # noqa: BLE001 (whatever it raises, the run goes on)
                name = type(notifier).__name__
                log.warning(
                    "%s",
                    gettext(
                        "Nobody is told by {notifier}: {error}", notifier=name, error=as_plain_text(error)
                    ),
                )
