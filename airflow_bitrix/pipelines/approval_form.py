"""Asking in a trigger form whether somebody has to approve the plan.

For DAGs whose author lets whoever triggers them lift the approval; the forms of the sample DAGs do not ask.
"""

from __future__ import annotations

from typing import Any

from airflow.sdk import Param

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.pipelines.bounds import MOST_CHANGES, between
from airflow_bitrix.pipelines.trigger_forms import with_defaults

APPROVAL: dict[str, Any] = {
    "approval": "{{ params.approval }}",
    "approve_over": "{{ params.approve_over }}",
}
"""What the answers of :func:`approval_params` say: ``carry_out(plan, **BY_PARAMS, **APPROVAL)``.

For a DAG whose author lets whoever triggers it lift the approval.
"""


def approval_params(**defaults: Any) -> dict[str, Param]:
    """Give the parameters with which a form lets whoever triggers the DAG say if somebody has to approve.

    They count where the pipeline goes by them: ``carry_out(plan, **BY_PARAMS, **APPROVAL)``.

    :param defaults: Other defaults, by the parameter's name: ``approval_params(approval="over_limit")``.
    :raises InvalidInput: There is no such parameter.
    """
    params = {
        "approval": Param(
            "always",
            type="string",
            enum=["always", "over_limit", "never"],
            values_display={
                "always": gettext("Ask before every real run"),
                "over_limit": gettext("Ask only where the plan has more changes than the next field says"),
                "never": gettext("Do not ask"),
            },
            title=gettext("Approval"),
            description=gettext(
                "Whether a person sees the plan first, under Required actions. A dry run never asks."
            ),
            section=gettext("Approval"),
        ),
        "approve_over": Param(
            100,
            type="integer",
            **between(0, MOST_CHANGES),
            title=gettext("Changes that need no approval"),
            description=gettext(
                "Counts only where Approval is to ask about plans with more changes than this."
            ),
            section=gettext("Approval"),
        ),
    }
    return with_defaults(params, defaults)
