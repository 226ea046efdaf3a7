"""What the tab shows where this Airflow lacks what its routes need."""

from __future__ import annotations

from importlib.metadata import version

from starlette.responses import HTMLResponse

from airflow_bitrix.report.notices import Notice
from airflow_bitrix.report.page import Tab, as_tab

NOT_HERE = 501
"""The HTTP status: no later try is of use."""


def unavailable(reason: Exception) -> HTMLResponse:
    """Say that the report cannot be shown here, and where it lies.

    :param reason: What came of the try to load or to use what is missing.
    """
    missing = (
        f"Apache Airflow {version('apache-airflow-core')} does not have something that it needs ({reason}). "
        "A newer release of airflow-bitrix may know this Airflow."
    )
    file = (
        "Every run leaves it as a file, report.html, under [bitrix24] artifacts_path: the log of its check "
        "names it. Plans, approvals, applies and checks do not depend on this tab."
    )
    told = [Notice("bad", "The report cannot be shown here.", missing), Notice("plain", "It is there.", file)]
    return HTMLResponse(as_tab(None, Tab("Bitrix24 report", told)), NOT_HERE)
