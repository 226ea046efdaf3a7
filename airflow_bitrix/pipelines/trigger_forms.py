"""What the trigger forms of DAGs ask that carry out plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Param

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.rules import RULES
from airflow_bitrix.engine.registered_rules import registered_rules
from airflow_bitrix.pipelines.bounds import MOST_CHANGES, WITHIN, between
from airflow_bitrix.pipelines.rule_form import RULE_OPTIONS, rule_option_params
from airflow_bitrix.pipelines.time_zones import ZONES

__all__ = [
    "BY_PARAMS",
    "GUARDS",
    "OWNERS",
    "RULE_OPTIONS",
    "owner_params",
    "plan_params",
    "rule_option_params",
    "rules_param",
    "with_defaults",
]


def _percent(name: str) -> str:
    """Give the template of a share: the form asks for percent, and ``20%`` has one meaning."""
    return f"{{{{ params.{name} ~ '%' if params.{name} is not none else none }}}}"


BY_PARAMS: dict[str, Any] = {
    "is_dry_run": "{{ params.dry_run }}",
    "valid_for": "{{ params.approval_hours }}",
    "canary": "{{ params.canary }}",
    "max_failed": "{{ params.max_failed }}",
    "max_failure_share": _percent("max_failure_share"),
    "quiet_hours": "{{ params.quiet_hours or '' }}",
    "timezone": "{{ params.timezone }}",
    "comment": "{{ params.comment }}",
}
"""What the answers of the form say to a pipeline: ``carry_out(plan, **BY_PARAMS)``.

Whether somebody has to approve is none of them: that is the author's to say, or to leave to the form by
:mod:`airflow_bitrix.pipelines.approval_form`.
"""

GUARDS: dict[str, Any] = {
    "max_changes": "{{ params.max_changes }}",
    "max_share": _percent("max_share"),
}
"""What the answers of the form say to the operator that makes the plan."""

OWNERS: dict[str, Any] = {
    "stages": "{{ params.stages or none }}",
    "created_from": "{{ params.created_from }}",
    "created_to": "{{ params.created_to }}",
    "timezone": "{{ params.timezone }}",
    "older_than_days": "{{ params.older_than_days }}",
    "filter": "{{ params.filter }}",
    "owners_file": "{{ params.owners_file }}",
}
"""What the answers of the form say to a clean-up about the owners it is to look at."""

_STAGES: dict[OwnerKind, tuple[tuple[str, ...], str]] = {
    "lead": (
        ("NEW", "IN_PROCESS", "PROCESSED", "JUNK"),
        gettext_noop("Portals can have stages of their own."),
    ),
    "deal": (
        ("NEW", "PREPARATION", "EXECUTING", "WON", "LOSE"),
        gettext_noop("Other pipelines have such as C3:NEW."),
    ),
}

_ABOUT_RULES: dict[OwnerKind, str] = {
    "lead": gettext_noop(
        'What to clean up. "Release repeat leads" saves leads, which starts the portal\'s automation.'
    ),
    "deal": gettext_noop("What to clean up."),
}


def plan_params(**defaults: Any) -> dict[str, Param]:
    """Give the parameters that every DAG has that writes: ``DAG(params={**plan_params(), …})``.

    Each call gives new ones: a parameter keeps the value of the last run that its process made, and a DAG
    must not begin with another DAG's ``dry_run``.

    They do not ask whether somebody has to approve: :mod:`airflow_bitrix.pipelines.approval_form` does.

    :param defaults: Other defaults, by the parameter's name: ``plan_params(max_changes=50)``.
    :raises InvalidInput: There is no such parameter.
    """
    return with_defaults(_plan_params(), defaults)


def with_defaults(params: dict[str, Param], defaults: dict[str, Any]) -> dict[str, Param]:
    """Give parameters with other defaults.

    :param defaults: They, by the parameter's name.
    :raises InvalidInput: There is no such parameter.
    """
    for name, value in defaults.items():
        if name not in params:
            raise InvalidInput("defaults", name, ", ".join(params))
        params[name].value = value
    return params


def rules_param(kind: OwnerKind, default: Sequence[str]) -> Param:
    """Give the parameter with which a form asks for clean-up rules, one or more of those for such owners.

    It lists ours and those that packages have registered, see
    :mod:`airflow_bitrix.engine.registered_rules`. Of one that cannot be imported a warning tells.

    :param default: Names of the rules that are chosen at first.
    """
    fitting = {name: rule for name, rule in RULES.items() if rule.is_for(kind)}
    listed = {**fitting, **registered_rules().fitting(kind)}
    rules = {name: gettext(rule.title).partition(":")[0] for name, rule in listed.items()}  # room for several
    return Param(
        list(default),
        type="array",
        items={"type": "string", "enum": list(rules)},
        examples=list(rules),
        values_display=rules,
        minItems=1,
        title=gettext("Rules"),
        description=gettext(_ABOUT_RULES.get(kind, _ABOUT_RULES["deal"])),
    )


def owner_params(kind: OwnerKind) -> dict[str, Param]:
    """Give the parameters with which a form asks which owners a clean-up is to look at."""
    section = gettext("Which {kinds}", **kind_words(kind))
    stages, about = _STAGES.get(kind, ((), _STAGES["lead"][1]))
    about_stages = gettext(about)

    def day(title: str, description: str) -> Param:
        return Param(
            None,
            type=["null", "string"],
            format="date",
            title=title,
            description=gettext(
                "{description} In the time zone that stands under “How it is applied”.",
                description=description,
            ),
            section=section,
        )

    return {
        "stages": Param(
            [],
            type=["null", "array"],
            items={"type": "string", "minLength": 1},
            examples=list(stages),
            title=gettext("Stages"),
            description=gettext(
                "Only {kinds} in these stages, by id; empty for all. {about_stages}",
                about_stages=about_stages,
                **kind_words(kind),
            ),
            section=section,
        ),
        "created_from": day(
            gettext("Created from"),
            gettext("Only {kinds} created on this day or later; empty for all.", **kind_words(kind)),
        ),
        "created_to": day(
            gettext("Created until"),
            gettext("Only {kinds} created on this day or earlier; empty for all.", **kind_words(kind)),
        ),
        "older_than_days": Param(
            0,
            type="integer",
            **between(0, 36_500),
            title=gettext("Older than (days)"),
            description=gettext(
                "Only {kinds} created at least so many days ago; 0 for all.", **kind_words(kind)
            ),
            section=section,
        ),
        "filter": Param(
            {},
            type=["null", "object"],
            **WITHIN,
            title=gettext("Further filter"),
            description=gettext(
                'A crm.item.list filter, such as {"assignedById": 7}. Unknown fields are refused.'
            ),
            section=section,
        ),
        "owners_file": Param(
            None,
            type=["null", "string"],
            title=gettext("File of {kinds}", **kind_words(kind)),
            description=gettext(
                "Only the {kinds} in this file: failed.csv of an earlier run, or one id a line.",
                **kind_words(kind),
            ),
            section=section,
        ),
    }


def _plan_params() -> dict[str, Param]:
    return {
        "dry_run": Param(
            default=True,
            type="boolean",
            title=gettext("Dry run"),
            description=gettext(
                "Only plan and report; write nothing, ask nobody. Real runs write one at a time."
            ),
        ),
        "max_changes": Param(
            1000,
            type="integer",
            **between(0, MOST_CHANGES),
            title=gettext("Most changes allowed"),
            description=gettext("A plan with more changes is written and shown, but not applied."),
            section=gettext("Limits"),
        ),
        "max_share": Param(
            None,
            type=["null", "number"],
            **between(0, 100),
            title=gettext("Largest share changed (percent)"),
            description=gettext("Of all there are of a kind: 20 is a fifth of them. Empty for no limit."),
            section=gettext("Limits"),
        ),
        "max_failed": Param(
            0,
            type="integer",
            **between(0, MOST_CHANGES),
            title=gettext("Most failures allowed"),
            description=gettext("With more failed changes the run fails in the end; failed.csv names them."),
            section=gettext("Limits"),
        ),
        "max_failure_share": Param(
            20,
            type=["null", "number"],
            **between(0, 100),
            title=gettext("Stop at a share of failures (percent)"),
            description=gettext(
                "Applying stops when more percent of what was tried have failed. Empty to go on."
            ),
            section=gettext("Limits"),
        ),
        "approval_hours": Param(
            24,
            type="number",
            exclusiveMinimum=0,
            **between(0, 8760),
            title=gettext("Hours that an approval counts"),
            description=gettext(
                "What has not begun by then is not applied; clear “Ask for approval” to ask again."
            ),
            section=gettext("Approval"),
        ),
        "canary": Param(
            10,
            type="integer",
            **between(0, 10_000),
            title=gettext("Try the first ones"),
            description=gettext(
                "So many changes are applied first; if one fails, the rest is not begun. 0 for none."
            ),
            section=gettext("How it is applied"),
        ),
        "quiet_hours": Param(
            None,
            # A form takes an empty text for an answer that is missing. What is no time the plan refuses in a
            # sentence; Airflow would show a pattern.
            type=["null", "string"],
            examples=["08:00-20:00"],
            title=gettext("Quiet hours"),
            description=gettext(
                "Nothing is written between these times, such as 08:00-20:00. Empty for none."
            ),
            section=gettext("How it is applied"),
        ),
        "timezone": Param(
            "UTC",
            type="string",
            minLength=1,
            examples=list(ZONES),
            title=gettext("Time zone"),
            description=gettext(
                "Of the quiet hours, and of the days in this form. Any name such as Europe/Berlin."
            ),
            section=gettext("How it is applied"),
        ),
        "comment": Param(
            default=False,
            type="boolean",
            title=gettext("Comment on the cards"),
            description=gettext("Say on the timeline of each owner that was changed what was done, and why."),
            section=gettext("How it is applied"),
        ),
        "bitrix24_conn_id": Param(
            "bitrix24_default",
            type="string",
            minLength=1,
            title=gettext("Connection"),
            description=gettext("Connection of type Bitrix24."),
            section=gettext("Portal"),
        ),
    }
