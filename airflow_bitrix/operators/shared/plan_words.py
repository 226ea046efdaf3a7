"""What apply and check both say of a plan."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext, ngettext
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
    log.info("%s", f"::group::{gettext('Report')}")
    for line in lines:
        log.info("%s", line)
    log.info("::endgroup::")
