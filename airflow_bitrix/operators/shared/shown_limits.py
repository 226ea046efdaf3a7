"""The limits that whoever approves a plan is shown: what applies the plan has to go by them.

A run that is deleted and made again under its name finds the plan and its approval, and may have been given
other limits in its form.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.quiet_hours import QuietHours
from airflow_bitrix.files import part_name
from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.files.journals import read_ledger
from airflow_bitrix.files.plans import PART_CHANGES, Manifest, read_changes
from airflow_bitrix.operators.shared.parameters import count, optional_count, optional_share, quiet_hours
from airflow_bitrix.report.texts import ASK_AGAIN, per_cent

CALLED: Mapping[str, str] = {
    "canary": gettext_noop("Try the first ones"),
    "max_failed": gettext_noop("Most failures allowed"),
    "max_failure_share": gettext_noop("Stop at a share of failures"),
    "quiet_hours": gettext_noop("Quiet hours"),
}
"""What the trigger forms call each limit, by its argument."""

TRIED = ("applied", "already", "drift")
"""Outcomes of a change that was tried and has not failed; a dry run skips, and tries nothing."""

QUIET: Mapping[str, str] = {"quiet_hours": "quiet_hours", "timezone": "timezone"}
LIMITS: Mapping[str, str] = {**QUIET, "max_failure_share": "max_failure_share"}
"""What an apply calls the limits that it goes by itself; the time zone is that of the quiet hours."""


def quiet_of(given: Mapping[str, Any]) -> QuietHours | None:
    """Read the quiet hours among some arguments."""
    return quiet_hours(given.get("quiet_hours"), given.get("timezone", "UTC"))


_NO_LIMIT = gettext_noop("no limit")


def as_shown(given: Mapping[str, Any]) -> dict[str, str]:
    """Give limits as an approval keeps them, by argument: compared, and so the same in each language."""
    most = optional_count("max_failed", given.get("max_failed"))
    share = optional_share("max_failure_share", given.get("max_failure_share"))
    return {
        "canary": f"{count('canary', given.get('canary', 0)):,}",
        "max_failed": _NO_LIMIT if most is None else f"{most:,}",
        "max_failure_share": _NO_LIMIT if share is None else per_cent(share),
        "quiet_hours": str(quiet_of(given) or gettext_noop("none")),
    }


def check_limits(decision: Approval, given: Mapping[str, Any]) -> None:
    """Refuse to apply a plan by other limits than those it was approved with.

    :param given: The limits that the task was given, by argument.
    :raises PlanRefused: One is another.
    """
    own = as_shown(given)
    for argument, shown in decision.limits.items():
        if argument in given and own.get(argument) != shown:
            raise PlanRefused(
                gettext(
                    "the plan was approved with {limit}: {shown}, and this task was given "
                    "{given}: {ask_again}",
                    limit=gettext(CALLED.get(argument, argument)),
                    shown=gettext(shown),
                    given=gettext(own.get(argument, "")),
                    ask_again=gettext(ASK_AGAIN),
                )
            )


def check_tried(decision: Approval, plan: Path, manifest: Manifest, journal: Path) -> None:
    """Refuse to apply a plan whose first changes were to be tried ahead of all others, and were not.

    :raises PlanRefused: One has failed, or no outcome.
    """
    told = decision.limits.get("canary", "0").replace(",", "")
    first = min(int(told) if told.isdecimal() else 0, manifest.changes)
    parts = range(-(-first // PART_CHANGES))
    tried: set[int] = set()
    for part in parts:
        ledger = read_ledger(journal / part_name(part), manifest.kind)
        # What was brought about once has been tried, also where a later look at it failed.
        tried.update(ledger.settled)
        tried.update(owner_id for owner_id, told in ledger.last.items() if told.outcome in TRIED)
    changes = (change for part in parts for change in read_changes(plan, manifest, part))
    if left := sum(change.owner.id not in tried for change in islice(changes, first)):
        raise PlanRefused(
            gettext(
                "the plan was approved with {canary}: {first}, of which {left} have failed or were not "
                "tried: clear the task that tries them",
                canary=gettext(CALLED["canary"]),
                first=first,
                left=left,
            )
        )
