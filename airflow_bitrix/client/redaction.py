"""The one place that takes a webhook's secret out of text.

The secret is a part of every address, so whatever prints an address prints the secret: exceptions and debug
lines of the HTTP libraries, error pages of proxies. Our own code never prints an address; this module
cleans what others wrote.
"""

from __future__ import annotations

import logging
import re

_SLASH = r"(?:\\?/|%2[fF])"
_WEBHOOK = re.compile(rf"({_SLASH}rest{_SLASH}(?:api{_SLASH})?\d+{_SLASH})(?:(?!%2[fF])[^/\s?#\"'<>\\)])+")

HTTP_LOGGERS = (
    "urllib3.connectionpool",
    "urllib3.util.retry",
    "requests",
    "aiohttp.client",
    "aiohttp.internal",
)
"""Loggers of the HTTP libraries that print request paths."""


def redact(text: str) -> str:
    """Replace the secret of each webhook address in ``text`` by ``***``."""
    return _WEBHOOK.sub(r"\1***", text)


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
