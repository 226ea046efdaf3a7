"""What is said of a plan by several of its tasks, or at length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext, gettext_noop, ngettext
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.files.plans import Manifest


def check_portal(manifest: Manifest, portal: str) -> None:
    """Refuse a plan for another portal than the connection leads to.

    :raises PlanRefused: It is.
    """
    if manifest.portal != portal:
        said = gettext(
            "the plan is for {portal}, the connection leads to {other}", portal=manifest.portal, other=portal
        )
        raise PlanRefused(said)


def without_outcome(still_open: int, changes: int) -> str:
    """Say how many changes nothing has become of."""
    return ngettext(
        "{open} of {changes} change has no outcome",
        "{open} of {changes} changes have no outcome",
        changes,
        open=str(still_open),
        changes=str(changes),
    )


def log_report(log: Any, lines: Iterable[str]) -> None:
    """Log a report as a group of lines, which Airflow folds."""
    log.info("::group::%s", gettext("Report"))
    for line in lines:
        log.info("%s", line)
    log.info("::endgroup::")


_CHOICE = gettext_noop(
    "**Approve** lets exactly these changes be written{hours}. **Reject** writes nothing. What was written "
    "can be taken back: the report says how. Without an answer until {until} nothing is written."
)
_CHOICE_WITH_DEFAULT = gettext_noop(
    "**Approve** lets exactly these changes be written{hours}. **Reject** writes nothing. What was written "
    "can be taken back: the report says how. Without an answer until {until} it counts as **{answer}**."
)


def meaning_of_answers(end: datetime, valid_for: timedelta | None, defaults: Sequence[str] | None) -> str:
    """Say what the two answers about a plan do, and what becomes of it without one.

    :param end: Until when an answer is awaited.
    :param valid_for: How long an approval may be used.
    :param defaults: The answers that it counts as where none comes.
    """
    told = {"hours": "", "until": shown_timestamp(end.isoformat())}
    if valid_for is not None:
        told["hours"] = gettext(" for {hours} hours", hours=f"{valid_for.total_seconds() / 3600:g}")
    if defaults:
        return gettext(_CHOICE_WITH_DEFAULT, answer=defaults[0], **told)
    return gettext(_CHOICE, **told)
