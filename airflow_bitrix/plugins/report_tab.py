"""The plugin: a tab on each DAG run that shows what a plan came to.

Every process of Airflow imports this module, so it imports next to nothing; what answers requests is loaded
by the first of them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from airflow.plugins_manager import AirflowPlugin

from airflow_bitrix.links import TAB_ROUTE

PREFIX = "/bitrix24"


log = logging.getLogger(__name__)


class LazyReportApp:
    """The ASGI app of the report's routes, or of one page where this Airflow lacks what they need."""

    def __init__(self) -> None:
        self._app: Any = None

    async def __call__(
        self,
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[MutableMapping[str, Any]]],
        send: Callable[[MutableMapping[str, Any]], Awaitable[None]],
    ) -> None:
        """Answer a request."""
        self._app = self._app or _load()
        await self._app(scope, receive, send)


def _load() -> Any:
    # Both are imported here for the reason that the module gives.
    try:
        from airflow_bitrix.plugins.report_api import app  # noqa: PLC0415
    except (AttributeError, ImportError, TypeError) as error:
        from airflow_bitrix.plugins.unavailable import unavailable  # noqa: PLC0415

        log.exception("The report tab needs something that this Airflow does not have; all else works")
        # Its text has the path of a file.
        return unavailable(f"module {error.name}" if isinstance(error, ImportError) else str(error))
    return app


class Bitrix24ReportPlugin(AirflowPlugin):
    """The report tab and its routes."""

    name = "airflow_bitrix"
    fastapi_apps: list[Any] = [  # noqa: RUF012 (as the base class has it)
        {"app": LazyReportApp(), "url_prefix": PREFIX, "name": "Bitrix24 report"}
    ]
    external_views: list[Any] = [  # noqa: RUF012
        {
            "name": "Bitrix24 report",
            # Relative, so that it also works where Airflow lies behind a path prefix.
            "href": f"{PREFIX.removeprefix('/')}/report/{{DAG_ID}}/{{RUN_ID}}/",
            "destination": "dag_run",
            "url_route": TAB_ROUTE,
        }
    ]
