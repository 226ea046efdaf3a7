"""Loggers of the HTTP libraries, which print addresses, and with them the webhook's secret."""

from __future__ import annotations

import logging

from airflow_bitrix.core.redaction import redact

HTTP_LOGGERS = (
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "requests",
    "aiohttp.client",
    "aiohttp.internal",
)
"""Loggers of the HTTP libraries that print request paths."""


class _RedactingFilter(logging.Filter):
    def filter(self, record: logging.LogRecord) -> bool:
        message = record.getMessage()
        clean = redact(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info:
            # urllib3 logs retries with the exception that caused them, and that names the path.
            record.exc_info = None
        return True


_FILTER = _RedactingFilter()


def guard_http_logs() -> None:
    """Make the HTTP libraries' loggers drop webhook secrets, at every level. Safe to call again."""
    for name in HTTP_LOGGERS:
        # A logger keeps a filter once, however often it is added.
        logging.getLogger(name).addFilter(_FILTER)
