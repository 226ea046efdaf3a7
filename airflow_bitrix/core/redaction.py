"""The one place that takes a webhook's secret out of text.

The secret is a part of every address, so whatever prints an address prints the secret: exceptions and debug
lines of the HTTP libraries, error pages of proxies, what people paste into the wrong field. Our own code
prints none; this module cleans what others wrote.
"""

from __future__ import annotations

import re

_SLASH = r"(?:[\\/]|%2[fF])++"
_WEBHOOK = re.compile(
    r"(?:(?<=[\\/])|(?<=%2[fF]))"
    rf"((?i:rest{_SLASH}(?:api{_SLASH})?)\d++{_SLASH})(?:(?!%2[fF])[^/\s?#\"'<>\\)])++"
)


def redact(text: str) -> str:
    """Replace the secret of each webhook address in ``text`` by ``***``."""
    return _WEBHOOK.sub(r"\1***", text)
