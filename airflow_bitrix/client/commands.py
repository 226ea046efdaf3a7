"""A call as a command of a batch: a query string.

Follows https://apidocs.bitrix24.com/api-reference/how-to-call-rest-api/batch.html. Every value arrives as
text; neither ``null`` nor an empty list can be expressed. What cannot be sent faithfully is refused, because
the portal would read it as something else.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from urllib.parse import quote_plus

from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.references import has_reference

MOST_VALUES = 900
"""Values in one command; PHP drops what goes beyond its ``max_input_vars``, 1,000 by default."""


def command_of(call: Call) -> str:
    """Write a call as a command: ``method?name=value&…``, percent-encoded.

    :raises InvalidInput: A value that a query string cannot express.
    """
    pairs: list[str] = []
    try:
        for name, value in call.params.items():
            _flatten(pairs, call, _quoted(call, str(name)), value)
    except UnicodeEncodeError:
        # Half of a pair of surrogates is no text that could be sent.
        raise InvalidInput(
            f"params of {call}", call.params, gettext("text that can be written as UTF-8")
        ) from None
    if len(pairs) > MOST_VALUES:
        accepted = gettext(
            "at most {most_values} values in a batched command; make it a call of its own",
            most_values=MOST_VALUES,
        )
        raise InvalidInput(f"params of {call}", gettext("{pairs} values", pairs=len(pairs)), accepted)
    return f"{call.method}?{'&'.join(pairs)}" if pairs else call.method


def _quoted(call: Call, text: str) -> str:
    # The portal would put another command's result in the place of a reference.
    if text.isascii() and text.isalnum():
        return text  # most names and many values: nothing to quote
    if has_reference(text):
        raise InvalidInput(f"params of {call}", text, gettext("text without references to other commands"))
    return quote_plus(text)


def _flatten(pairs: list[str], call: Call, path: str, value: object) -> None:
    if isinstance(value, (bool, int)):
        pairs.append(f"{path}={int(value)}")
    elif isinstance(value, str):
        pairs.append(f"{path}={_quoted(call, value)}")
    elif isinstance(value, (list, tuple)) and value:
        for index, item in enumerate(value):
            _flatten(pairs, call, f"{path}[{index}]", item)
    elif isinstance(value, Mapping) and value:
        for key, item in value.items():
            _flatten(pairs, call, f"{path}[{_quoted(call, str(key))}]", item)
    elif isinstance(value, float) and math.isfinite(value):
        pairs.append(f"{path}={quote_plus(str(value))}")
    else:
        accepted = gettext(
            "text, numbers, true, false, and lists or maps that are not empty (use call() for others)"
        )
        raise InvalidInput(f"params of {call}", value, gettext("in a batch: {accepted}", accepted=accepted))
