"""What the trigger forms of DAGs ask that carry out plans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import Param

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.rules import RULES
from airflow_bitrix.engine.registered_rules import registered_rules


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

RULE_OPTIONS: dict[str, dict[str, str]] = {
    "unlink_closed": {"days": "{{ params.closed_days }}"},
    "trim_company_contacts": {"keep": "{{ params.keep_company_contacts }}"},
    "merge_same_person": {
        "survivor": "{{ params.survivor }}",
        "match": "{{ params.match }}",
        "region": "{{ params.phone_region }}",
        "shared_by": "{{ params.phone_shared_by }}",
    },
}
"""What the answers of the form say to the rules of a clean-up: ``rule_options=RULE_OPTIONS``."""


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

_ZONES = (
    "UTC",
    "America/Los_Angeles",
    "America/Mexico_City",
    "America/New_York",
    "America/Sao_Paulo",
    "Europe/London",
    "Europe/Berlin",
    "Europe/Warsaw",
    "Europe/Kyiv",
    "Europe/Istanbul",
    "Europe/Moscow",
    "Asia/Dubai",
    "Asia/Almaty",
    "Asia/Kolkata",
    "Asia/Ho_Chi_Minh",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Australia/Sydney",
)

_FITTING = {"$ref": "#/$defs/fitting"}

WITHIN: dict[str, Any] = {
    "$defs": {
        "fitting": {
            "minimum": -(2**53),
            "maximum": 2**53,
            "items": _FITTING,
            "additionalProperties": _FITTING,
        }
    },
    "additionalProperties": _FITTING,
}
"""What an answer that is an object has in it, however deep: no numbers beyond what a browser keeps exactly.

Airflow cannot hand numbers of more than 64 bits to a task, and the task then dies without a line in its log.
"""


def between(least: float, most: float) -> dict[str, Any]:
    """Give the bounds of a number that a form asks for.

    A browser puts a number that lies outside ``minimum`` and ``maximum`` onto the nearer of them as soon as
    the field is left: -5 days become 0. Where they stand in ``allOf`` it leaves the number alone, and Airflow
    refuses it by what was typed.
    """
    return {"allOf": [{"minimum": least, "maximum": most}]}


MOST_CHANGES = 10_000_000
"""The most that a form takes for a number of changes."""

_STAGES: dict[OwnerKind, tuple[tuple[str, ...], str]] = {
    "lead": (("NEW", "IN_PROCESS", "PROCESSED", "JUNK"), "Portals can have stages of their own."),
    "deal": (("NEW", "PREPARATION", "EXECUTING", "WON", "LOSE"), "Other pipelines have such as C3:NEW."),
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
    saves = ' "Release repeat leads" saves leads, which starts the portal\'s automation.'
    fitting = {name: rule for name, rule in RULES.items() if kind in rule.kinds}
    rules = {name: rule.title for name, rule in {**fitting, **registered_rules().fitting(kind)}.items()}
    return Param(
        list(default),
        type="array",
        items={"type": "string", "enum": list(rules)},
        examples=list(rules),
        values_display=rules,
        minItems=1,
        title="Rules",
        description=f"What to clean up.{saves if kind == 'lead' else ''}",
    )


def owner_params(kind: OwnerKind) -> dict[str, Param]:
    """Give the parameters with which a form asks which owners a clean-up is to look at."""
    section = f"Which {kind}s"
    stages, about_stages = _STAGES[kind]

    def day(title: str, description: str) -> Param:
        return Param(
            None,
            type=["null", "string"],
            format="date",
            title=title,
            description=f"{description} In the time zone that stands under “How it is applied”.",
            section=section,
        )

    return {
        "stages": Param(
            [],
            type="array",
            items={"type": "string", "minLength": 1},
            examples=list(stages),
            title="Stages",
            description=f"Only {kind}s in these stages, by id; empty for all. {about_stages}",
            section=section,
        ),
        "created_from": day("Created from", f"Only {kind}s created on this day or later; empty for all."),
        "created_to": day("Created until", f"Only {kind}s created on this day or earlier; empty for all."),
        "older_than_days": Param(
            0,
            type="integer",
            **between(0, 36_500),
            title="Older than (days)",
            description=f"Only {kind}s created at least so many days ago; 0 for all.",
            section=section,
        ),
        "filter": Param(
            {},
            type="object",
            **WITHIN,
            title="Further filter",
            description='A crm.item.list filter, such as {"assignedById": 7}. Unknown fields are refused.',
            section=section,
        ),
        "owners_file": Param(
            None,
            type=["null", "string"],
            title=f"File of {kind}s",
            description=f"Only the {kind}s in this file: failed.csv of an earlier run, or one id a line.",
            section=section,
        ),
    }


def rule_option_params() -> dict[str, Param]:
    """Give the parameters with which a form asks how the clean-up rules shall work."""
    return {
        "closed_days": Param(
            90,
            type="integer",
            **between(0, 36_500),
            title="Unlink closed: after so many days",
            description="Only those that were not saved for so many days.",
            section="How rules work",
        ),
        "keep_company_contacts": Param(
            1,
            type="integer",
            **between(0, 1000),
            title="Trim company contacts: keep so many",
            description="Beside the primary contact, in the order of the links.",
            section="How rules work",
        ),
        "survivor": Param(
            "most_links",
            type="string",
            enum=["most_links", "oldest", "most_complete"],
            values_display={
                "most_links": "The contact with most links to leads and deals",
                "oldest": "The oldest contact",
                "most_complete": "The contact with most fields filled in",
            },
            title="Merge same person: keep",
            description="Which of several contacts that are one person stays linked.",
            section="How rules work",
        ),
        "match": Param(
            "phone_or_email",
            type="string",
            enum=["phone_or_email", "phone", "email"],
            values_display={
                "phone_or_email": "A phone or an e-mail",
                "phone": "A phone",
                "email": "An e-mail",
            },
            title="Merge same person: told by",
            description="What contacts share that are one person.",
            section="How rules work",
        ),
        "phone_region": Param(
            None,
            type=["null", "string"],
            pattern="^[A-Za-z]{2}$",
            examples=["BR", "BY", "DE", "FR", "GB", "IN", "KZ", "MX", "PL", "RU", "TR", "UA", "US", "VN"],
            title="Merge same person: country of phones",
            description="Whose phones have no country code. Empty for the portal's own country.",
            section="How rules work",
        ),
        "phone_shared_by": Param(
            3,
            type="integer",
            **between(2, 19),
            title="Merge same person: most contacts with one phone",
            description="A phone that more contacts hold is a switchboard's: it is told, and not used.",
            section="How rules work",
        ),
    }


def _plan_params() -> dict[str, Param]:
    return {
        "dry_run": Param(
            default=True,
            type="boolean",
            title="Dry run",
            description="Only plan and report; write nothing, ask nobody. Real runs write one at a time.",
        ),
        "max_changes": Param(
            1000,
            type="integer",
            **between(0, MOST_CHANGES),
            title="Most changes allowed",
            description="A plan with more changes is written and shown, but not applied.",
            section="Limits",
        ),
        "max_share": Param(
            None,
            type=["null", "number"],
            **between(0, 100),
            title="Largest share changed (percent)",
            description="Of all leads or deals there are: 20 is a fifth of them. Empty for no limit.",
            section="Limits",
        ),
        "max_failed": Param(
            0,
            type="integer",
            **between(0, MOST_CHANGES),
            title="Most failures allowed",
            description="With more failed changes the run fails in the end; failed.csv names them.",
            section="Limits",
        ),
        "max_failure_share": Param(
            20,
            type=["null", "number"],
            **between(0, 100),
            title="Stop at a share of failures (percent)",
            description="Applying stops when more percent of what was tried have failed. Empty to go on.",
            section="Limits",
        ),
        "approval_hours": Param(
            24,
            type="number",
            exclusiveMinimum=0,
            **between(0, 8760),
            title="Hours that an approval counts",
            description="What has not begun by then is not applied; clear “Ask for approval” to ask again.",
            section="Approval",
        ),
        "canary": Param(
            10,
            type="integer",
            **between(0, 10_000),
            title="Try the first ones",
            description="So many changes are applied first; if one fails, the rest is not begun. 0 for none.",
            section="How it is applied",
        ),
        "quiet_hours": Param(
            None,
            type=["null", "string"],  # a form takes an empty text for an answer that is missing
            pattern=r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$",
            examples=["08:00-20:00"],
            title="Quiet hours",
            description="Nothing is written between these times, such as 08:00-20:00. Empty for none.",
            section="How it is applied",
        ),
        "timezone": Param(
            "UTC",
            type="string",
            minLength=1,
            examples=list(_ZONES),
            title="Time zone",
            description="Of the quiet hours, and of the days in this form. Any name such as Europe/Berlin.",
            section="How it is applied",
        ),
        "comment": Param(
            default=False,
            type="boolean",
            title="Comment on the cards",
            description="Say on the timeline of each lead or deal that was changed what was done, and why.",
            section="How it is applied",
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
