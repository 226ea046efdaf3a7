"""Carrying a plan out: the tasks that every pipeline has behind the one that makes its plan."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import Param, TriggerRule

from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.rules import RULES
from airflow_bitrix.operators.link_apply import Bitrix24ApplyLinkPlanOperator
from airflow_bitrix.operators.link_approval import Bitrix24ApproveLinkPlanOperator
from airflow_bitrix.operators.link_canary import Bitrix24CanaryLinkPlanOperator
from airflow_bitrix.operators.link_check import Bitrix24CheckLinkPlanOperator
from airflow_bitrix.operators.plan_maker import LinkPlanMaker

PART_NAME = "part {{ task.part | join(', ') }}"
"""How the UI calls the mapped tasks of an apply."""

PLAN_PARAMS: dict[str, Param] = {
    "dry_run": Param(
        default=True,
        type="boolean",
        title="Dry run",
        description="Only plan and report; write nothing to the portal, and ask nobody.",
    ),
    "max_changes": Param(
        1000,
        type="integer",
        minimum=0,
        maximum=10_000_000,
        title="Most changes allowed",
        description="A plan with more changes is written and shown, but not applied.",
        section="Limits",
    ),
    "max_share": Param(
        None,
        type=["null", "number"],
        minimum=0,
        maximum=1,
        title="Largest share changed",
        description="Of the owners read, from 0 to 1: 0.2 is a fifth. Empty for no limit.",
        section="Limits",
    ),
    "max_failed": Param(
        0,
        type="integer",
        minimum=0,
        title="Most failures allowed",
        description="With more failed changes the run fails in the end; failed.csv names them.",
        section="Limits",
    ),
    "max_failure_share": Param(
        0.2,
        type=["null", "number"],
        minimum=0,
        maximum=1,
        title="Stop at a share of failures",
        description="Applying stops when a larger share of what was tried has failed. Empty to go on.",
        section="Limits",
    ),
    "approval": Param(
        "always",
        type="string",
        enum=["always", "over_limit", "never"],
        values_display={
            "always": "Ask before every real run",
            "over_limit": "Ask only where the plan has more changes than the next field says",
            "never": "Do not ask",
        },
        title="Approval",
        description="Whether a person sees the plan first, under Required actions. A dry run never asks.",
        section="Approval",
    ),
    "approve_over": Param(
        100,
        type="integer",
        minimum=0,
        title="Changes that need no approval",
        description="Where only larger plans are asked about.",
        section="Approval",
    ),
    "canary": Param(
        10,
        type="integer",
        minimum=0,
        title="Canary",
        description="So many changes are applied first; if one fails, the others are not begun. 0 for none.",
        section="Applying",
    ),
    "quiet_hours": Param(
        "",
        type="string",
        pattern=r"^$|^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
        examples=["08:00-20:00"],
        title="Quiet hours",
        description="Nothing is written between these times, such as 08:00-20:00. Empty for none.",
        section="Applying",
    ),
    "timezone": Param(
        "UTC",
        type="string",
        minLength=1,
        title="Time zone of the quiet hours",
        description="Such as Europe/Berlin.",
        section="Applying",
    ),
    "bitrix24_conn_id": Param(
        "bitrix24_default",
        type="string",
        minLength=1,
        title="Connection",
        description="Connection of type Bitrix24.",
        section="Portal",
    ),
}
"""What the trigger form of every DAG asks that writes: ``DAG(params={**PLAN_PARAMS, …})``."""

BY_PARAMS: dict[str, Any] = {
    "is_dry_run": "{{ params.dry_run }}",
    "approval": "{{ params.approval }}",
    "approve_over": "{{ params.approve_over }}",
    "canary": "{{ params.canary }}",
    "max_failed": "{{ params.max_failed }}",
    "max_failure_share": "{{ params.max_failure_share }}",
    "quiet_hours": "{{ params.quiet_hours }}",
    "timezone": "{{ params.timezone }}",
}
"""What the form's answers say to :func:`carry_out`: ``carry_out(plan, **BY_PARAMS)``."""


def rules_param(kind: OwnerKind, default: Sequence[str]) -> Param:
    """Give the parameter with which a form asks for clean-up rules, one or more of those for such owners.

    :param default: Names of the rules that are chosen at first.
    """
    rules = {name: rule.title for name, rule in RULES.items() if kind in rule.kinds}
    return Param(
        list(default),
        type="array",
        items={"type": "string", "enum": list(rules)},
        examples=list(rules),
        values_display=rules,
        minItems=1,
        title="Rules",
        description="What to clean up.",
    )


def carry_out(
    plan: LinkPlanMaker,
    *,
    is_dry_run: bool | str = True,
    approval: str = "always",
    approve_over: int | str = 0,
    valid_for: timedelta | float | str | None = 24,
    assigned_users: Any = None,
    response_timeout: timedelta | None = None,
    notifiers: Sequence[Any] = (),
    canary: int | str = 0,
    max_failed: int | str | None = 0,
    max_failure_share: float | str | None = None,
    quiet_hours: str = "",
    timezone: str = "UTC",
    **arguments: Any,
) -> Bitrix24CheckLinkPlanOperator:
    """Put the tasks behind a plan that carry it out, and give the last of them.

    ``approve`` shows it to a person, ``canary`` tries it on its first changes, ``apply`` is mapped over its
    parts and carries it out on as many workers as there are, ``check`` looks again and writes the report.
    After a rejection all that follows is skipped. Where an apply fails, the check still tells what became of
    every change. Inside a task group they belong to it, so that one DAG can carry out several plans.

    :param plan: The task that makes the plan.
    :param is_dry_run: Look only, write nothing. (templated)
    :param approval: ``always``, ``over_limit`` or ``never``. (templated)
    :param approve_over: The most changes that need no approval, with ``over_limit``. (templated)
    :param valid_for: Hours, or a ``timedelta``, for which an approval may be used. (templated)
    :param assigned_users: Who may approve; by default all users that may answer.
    :param response_timeout: How long the approval waits for an answer; by default as long as it takes.
    :param notifiers: Told that an answer is awaited.
    :param canary: So many changes are applied before all others; 0 for none. (templated)
    :param max_failed: Changes that may fail before the check fails; ``None`` for any number. (templated)
    :param max_failure_share: The largest share of changes that may fail, from 0 to 1: an apply stops beyond
        it, and the check fails. ``None`` for any. (templated)
    :param quiet_hours: A time of day in which nothing is written, such as ``08:00-18:00``. (templated)
    :param timezone: The time zone of the quiet hours. (templated)
    :param arguments: What canary, apply and check take as well, such as ``pool`` or ``artifacts_path``.
    """
    common = {"bitrix24_conn_id": plan.bitrix24_conn_id, "is_dry_run": is_dry_run, **arguments}
    writing = {**common, "quiet_hours": quiet_hours, "timezone": timezone}
    approve = Bitrix24ApproveLinkPlanOperator(
        task_id="approve",
        plan=plan.output,
        is_dry_run=is_dry_run,
        mode=approval,
        over=approve_over,
        valid_for=valid_for,
        assigned_users=assigned_users,
        response_timeout=response_timeout,
        notifiers=notifiers,
    )
    first = Bitrix24CanaryLinkPlanOperator(task_id="canary", plan=approve.output, first=canary, **writing)
    apply = Bitrix24ApplyLinkPlanOperator.partial(
        task_id="apply",
        map_index_template=PART_NAME,
        plan=approve.output,
        max_failed=None,  # the check judges them all together
        max_failure_share=max_failure_share,
        **writing,
    ).expand(part=first.output)
    return Bitrix24CheckLinkPlanOperator(
        task_id="check",
        plan=approve.output,
        applied=apply.output,
        max_failed=max_failed,
        max_failure_share=max_failure_share,
        # A part that failed is what the check is for, but where nothing succeeded at all there was no plan or
        # no approval: then the check, and with it the run, fails for that reason.
        trigger_rule=TriggerRule.ALL_DONE_MIN_ONE_SUCCESS,
        **common,
    )
