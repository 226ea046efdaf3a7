"""What the tab shows where this Airflow lacks what its routes need."""

from __future__ import annotations

from importlib.metadata import version

from starlette.responses import HTMLResponse

from airflow_bitrix.core.languages import gettext
from airflow_bitrix.report.notices import Notice
from airflow_bitrix.report.page import Tab, as_tab, content_policy

NOT_HERE = 501
"""The HTTP status: no later try is of use."""


def headers() -> dict[str, str]:
    """Give what every answer of the tab says: its page loads nothing from elsewhere, and is not kept."""
    own = content_policy(connect="'self'")
    return {
        "content-security-policy": f"{own}; frame-ancestors 'self'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }


def unavailable(missing: str) -> HTMLResponse:
    """Say that the report cannot be shown here, and where it lies.

    :param missing: What is not there, or not as it was.
    """
    needed = gettext(
        "Apache Airflow {version} does not have something that it needs ({missing}). A newer release of "
        "airflow-bitrix may know this Airflow.",
        version=version("apache-airflow-core"),
        missing=missing,
    )
    file = gettext(
        "Every run leaves it as a file, report.html, under [bitrix24] artifacts_path: the log of its check "
        "names it. Plans, approvals, applies and checks do not depend on this tab."
    )
    told = [
        Notice("bad", gettext("The report cannot be shown here."), needed),
        Notice("plain", gettext("It is there."), file),
    ]
    return HTMLResponse(as_tab(None, Tab(gettext("Bitrix24 report"), told)), NOT_HERE, headers())
