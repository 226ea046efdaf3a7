"""The order in which an apply does its work, and what ends it early."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from itertools import islice

from airflow_bitrix.client.stopping import Stop, ToldToStopError
from airflow_bitrix.compat import AirflowException
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.plan import Change
from airflow_bitrix.engine.apply_interfaces import Gate
from airflow_bitrix.engine.comments import Comments
from airflow_bitrix.files.runs import RunJournal
from airflow_bitrix.operators.shared.apply_parts import ApplyTask, Orders

Apply = Callable[[Iterable[Change]], Awaitable[None]]


class StoppedError(AirflowException):
    """Too many changes failed while the apply was under way."""


def gate_of(orders: Orders, run: RunJournal, stop: Stop) -> Gate:
    """Give what ends a try of an apply between two of its requests."""

    def gate() -> Exception | None:
        if stop.told:
            return ToldToStopError()
        if orders.quiet and (end := orders.quiet.ends_at(datetime.now(UTC))):
            said = gettext("quiet hours {quiet}: nothing is written before they end", quiet=orders.quiet)
            return RetryLater(said, until=end.timestamp())
        why = orders.policy.stops(failed=run.tried["failed"], of=run.tried.total())
        return StoppedError(why) if why else None

    return gate


async def in_order(task: ApplyTask, run: RunJournal, apply: Apply, comments: Comments | None) -> None:
    """Apply the changes of a task, the first of them alone where they are to be tried.

    :raises AirflowException: Too many failed. What was changed is told on its card all the same.
    """
    try:
        await _tried_first(task, run, apply)
    except AirflowException:
        if comments:
            await comments.finish()
        raise
    if comments:
        await comments.finish()


async def _tried_first(task: ApplyTask, run: RunJournal, apply: Apply) -> None:
    changes = islice(run.changes(), task.orders.first)
    if task.orders.canary and not task.orders.dry_run:
        await apply(islice(changes, task.orders.canary))
        if failed := run.counts["failed"]:
            tried = gettext(
                "{failed} of the first {min} changes failed",
                failed=failed,
                min=min(task.orders.canary, task.changes),
            )
            raise AirflowException(
                gettext("canary: {tried}; those behind them were not written", tried=tried)
            )
    await apply(changes)
