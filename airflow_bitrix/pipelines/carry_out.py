"""Carrying a plan out: the tasks that every pipeline has behind the one that makes its plan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from datetime import timedelta
from typing import Any, overload

from airflow.sdk import TaskGroup, TriggerRule
from airflow.sdk.bases.notifier import BaseNotifier

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.notifications.telling import Telling
from airflow_bitrix.operators.link_apply import Bitrix24ApplyLinkPlanOperator
from airflow_bitrix.operators.link_approval import Bitrix24ApproveLinkPlanOperator
from airflow_bitrix.operators.link_canary import Bitrix24CanaryLinkPlanOperator
from airflow_bitrix.operators.link_check import Bitrix24CheckLinkPlanOperator
from airflow_bitrix.operators.shared.plan_maker import LinkPlanMaker

PART_NAME = gettext("part") + " {{ task.part | join(', ') }}"
"""How the UI calls the mapped tasks of an apply."""

TIMEOUTS = {"canary": timedelta(hours=2), "apply": timedelta(hours=12), "check": timedelta(hours=4)}
"""How long each task may be at work at a time; a deferral ends that, and what comes after it counts anew.

An apply of 100,000 changes takes an hour at the standard plan's pace where it is alone, and tasks of one plan
share that pace. What ran out goes on where it was, with the task's next try.
"""

ORDER: dict[str, Any] = {"trigger_rule": TriggerRule.ALL_SUCCESS, "do_xcom_push": True}
"""What a pipeline stands on, whatever a DAG's ``default_args`` say: each task goes by the one before.

With ``all_done`` there, for one, an apply would begin behind a canary that failed.
"""

OF_SEVERAL: dict[str, Any] = ORDER | {"trigger_rule": TriggerRule.NONE_FAILED_MIN_ONE_SUCCESS}
"""The same of an approval of several plans, some of which may have been skipped."""


@overload
def carry_out(
    plan: LinkPlanMaker,
    *,
    is_dry_run: bool | str = ...,
    approval: str = ...,
    approve_over: int | str = ...,
    valid_for: timedelta | float | str | None = ...,
    assigned_users: Any = ...,
    response_timeout: timedelta | None = ...,
    notifiers: Sequence[BaseNotifier] = ...,
    notify: BaseNotifier | Sequence[BaseNotifier] = ...,
    canary: int | str = ...,
    max_failed: int | str | None = ...,
    max_failure_share: float | str | None = ...,
    quiet_hours: str = ...,
    timezone: str = ...,
    wait_for_turn: timedelta | float | str = ...,
    comment: bool | str = ...,
    **arguments: Any,
) -> Bitrix24CheckLinkPlanOperator: ...


@overload
def carry_out(plan: Sequence[LinkPlanMaker], **arguments: Any) -> list[Bitrix24CheckLinkPlanOperator]: ...


def carry_out(
    plan: LinkPlanMaker | Sequence[LinkPlanMaker],
    *,
    is_dry_run: bool | str = True,
    approval: str = "always",
    approve_over: int | str = 0,
    valid_for: timedelta | float | str | None = 24,
    assigned_users: Any = None,
    response_timeout: timedelta | None = None,
    notifiers: Sequence[BaseNotifier] = (),
    notify: BaseNotifier | Sequence[BaseNotifier] = (),
    canary: int | str = 0,
    max_failed: int | str | None = 0,
    max_failure_share: float | str | None = None,
    quiet_hours: str = "",
    timezone: str = "UTC",
    wait_for_turn: timedelta | float | str = 12,
    comment: bool | str = False,
    **arguments: Any,
) -> Bitrix24CheckLinkPlanOperator | list[Bitrix24CheckLinkPlanOperator]:
    """Put the tasks behind a plan that carry it out, and give the last of them; with plans those of each.

    ``approve`` shows it to a person, ``canary`` tries it on its first changes, ``apply`` is mapped over its
    parts and carries it out on as many workers as there are, ``check`` looks again and writes the report.
    After a rejection all that follows is skipped. Where an apply fails, the check still tells what became of
    every change. Inside a task group they belong to it, so that one DAG can carry out several plans.

    Given several plans, one ``approve`` asks about all of them together. The other tasks of each stand in a
    task group that is called as the task of its plan is. The plans stand in a group of their own: Airflow
    shows no page of a DAG with a group that is ahead of ``approve`` and behind it. Where the task of a plan
    is skipped, so is what follows; where one fails, nobody is asked.

    :param plan: The task that makes the plan; or a list of such, all for one portal, in a group of their own.
    :param is_dry_run: Look only, write nothing. (templated)
    :param approval: ``always``, ``over_limit`` or ``never``. (templated)
    :param approve_over: The most changes that need no approval, with ``over_limit``. (templated)
    :param valid_for: Hours, or a ``timedelta``, for which an approval may be used. (templated)
    :param assigned_users: Who may approve; by default all users that may answer.
    :param response_timeout: How long the approval waits for an answer, a ``timedelta``; by default so many
        hours as ``[bitrix24] approval_deadline`` says (72). Then it fails, and nothing is written.
    :param notifiers: Told that an answer is awaited, and nothing more.
    :param notify: Told when an approval is wanted, when the run has ended, also by a rejection, and when it
        failed: a notifier of Airflow, such as ``Bitrix24Notifier(users=[7])``, ``SlackNotifier`` or
        ``SmtpNotifier``, or a list of them. Their templates find under ``bitrix24`` what happened.
    :param canary: So many changes are applied before all others; 0 for none. (templated)
    :param max_failed: Changes that may fail before the check fails; ``None`` for any number. (templated)
    :param max_failure_share: The largest share of changes that may fail, such as ``"20%"`` or 0.2: an apply
        stops beyond it, and the check fails. ``None`` for any. (templated)
    :param quiet_hours: A time of day in which nothing is written, such as ``08:00-18:00``. (templated)
    :param timezone: The time zone of the quiet hours. (templated)
    :param wait_for_turn: Hours, or a ``timedelta``, for which canary and apply wait while another run writes
        owners of the same kind on the portal; 0 to be refused at once. (templated)
    :param comment: Say on the card of each owner that was changed that it was, and why. (templated)
    :param arguments: What canary, apply and check take as well, such as ``pool`` or ``artifacts_path``.
        ``execution_timeout``, here or in the DAG's ``default_args``, stands in place of the ``TIMEOUTS`` of
        these three. Of the approval that of ``default_args`` bounds the work alone, before and after it
        waits; for an answer it waits as ``response_timeout`` says.
    :raises InvalidInput: A ``trigger_rule``: how these tasks follow each other is settled, see ``ORDER``. Or
        a plan that hands over no result, or none at all; or several that stand in no task group.
    """
    if "trigger_rule" in arguments:
        accepted = gettext("none: the plan may have one, and what carries it out follows in order")
        raise InvalidInput("trigger_rule", str(arguments["trigger_rule"]), accepted)
    plans = [plan] if isinstance(plan, LinkPlanMaker) else list(plan)
    if not plans:
        raise InvalidInput("plan", plan, gettext("the task that makes a plan, or a list with one or more"))
    telling = _telling(notify)
    quiet = {"quiet_hours": quiet_hours, "timezone": timezone}
    for one in plans:
        if not one.do_xcom_push:
            accepted = gettext("True of a plan, whose result is carried out")
            raise InvalidInput("do_xcom_push", one.do_xcom_push, accepted)
        one.quiet = quiet  # what nobody can apply by shall not be shown to anybody
    policy: dict[str, Any] = {"max_failed": max_failed, "max_failure_share": max_failure_share}
    is_one = isinstance(plan, LinkPlanMaker)
    approve = Bitrix24ApproveLinkPlanOperator(
        task_id="approve",
        task_display_name=gettext("Ask for approval"),
        plan=plans[0].output if is_one else [one.output for one in plans],
        is_dry_run=is_dry_run,
        mode=approval,
        over=approve_over,
        valid_for=valid_for,
        applied_by={"canary": canary, "wait_for_turn": wait_for_turn, **policy, **quiet},
        bitrix24_conn_id=plans[0].bitrix24_conn_id,
        assigned_users=assigned_users,
        response_timeout=response_timeout,
        notifiers=[*notifiers, *telling.notifiers],
        **(ORDER if is_one else OF_SEVERAL),
    )
    writing = {"is_dry_run": is_dry_run, **quiet, "wait_for_turn": wait_for_turn, "comment": comment}
    # What default_args say of it, as the approval is given no other.
    within = approve.execution_timeout
    checks = []
    for number, one in enumerate(plans):
        common = {"bitrix24_conn_id": one.bitrix24_conn_id, "is_dry_run": is_dry_run, **arguments}
        if not is_one:
            common |= {"plan_number": number}
        with nullcontext() if is_one else _group_of(one):
            checks.append(
                _behind(approve, canary, policy, within=within, writing=common | writing, checking=common)
            )
    if telling.notifiers:
        # Behind canary and apply comes the check, whatever becomes of them: it tells, once.
        for task in (*plans, approve, *checks):
            task.on_failure_callback = [*task.on_failure_callback, telling]
        said_no = Telling(telling.notifiers, only="rejected")
        approve.on_success_callback = [*approve.on_success_callback, said_no]
        for check in checks:
            check.on_success_callback = [*check.on_success_callback, telling]
    return checks[0] if is_one else checks


def _group_of(plan: LinkPlanMaker) -> TaskGroup:
    """Give the task group for what carries a plan out that is one of several."""
    if plan.task_group is None or plan.task_group.is_root:
        accepted = gettext('plans in a task group of their own, such as TaskGroup("plans")')
        raise InvalidInput("plan", plan.task_id, accepted)
    name, title = plan.task_id.rpartition(".")[2], plan.task_display_name
    return TaskGroup(name, group_display_name="" if title == plan.task_id else title)


def _behind(
    approve: Bitrix24ApproveLinkPlanOperator,
    canary: int | str,
    policy: dict[str, Any],
    *,
    within: timedelta | None,
    writing: dict[str, Any],
    checking: dict[str, Any],
) -> Bitrix24CheckLinkPlanOperator:
    """Put the tasks of one plan behind the approval, and give the last of them.

    :param policy: How many changes may fail.
    :param within: How long each task may be at work, where nothing else says so.
    :param writing: What canary and apply are given beside that.
    :param checking: What the check is given.
    """
    first = Bitrix24CanaryLinkPlanOperator(
        task_id="canary",
        task_display_name=gettext("Try the first ones"),
        plan=approve.output,
        first=canary,
        **_within("canary", within, writing),
        **ORDER,
    )
    apply = Bitrix24ApplyLinkPlanOperator.partial(
        task_id="apply",
        task_display_name=gettext("Apply the plan"),
        map_index_template=PART_NAME,
        plan=approve.output,
        max_failed=None,  # the check judges them all together
        max_failure_share=policy["max_failure_share"],
        **_within("apply", within, writing),
        **ORDER,
    ).expand(part=first.output)
    check = Bitrix24CheckLinkPlanOperator(
        task_id="check",
        task_display_name=gettext("Check and report"),
        plan=approve.output,
        **policy,
        **_within("check", within, checking),
        # A part that failed is what the check is for, but where nothing succeeded at all there was no plan or
        # no approval: then the check, and with it the run, fails for that reason.
        **ORDER | {"trigger_rule": TriggerRule.ALL_DONE_MIN_ONE_SUCCESS},
    )
    apply >> check
    return check


def _telling(notify: object) -> Telling:
    """Give what tells of a run.

    :raises InvalidInput: It is no notifier, and no list of notifiers.
    """
    notifiers: list[Any] = list(notify) if isinstance(notify, (list, tuple)) else [notify]
    if not all(isinstance(one, BaseNotifier) for one in notifiers):
        raise InvalidInput(
            "notify", notify, gettext("a notifier, such as Bitrix24Notifier(users=[7]), or a list of them")
        )
    return Telling(notifiers)


def _within(task: str, given: timedelta | None, arguments: dict[str, Any]) -> dict[str, Any]:
    return {"execution_timeout": given or TIMEOUTS[task], **arguments}
