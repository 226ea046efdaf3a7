"""What a form takes for a number, and for numbers in an object."""

from __future__ import annotations

from typing import Any

_FITTING = {"$ref": "#/$defs/fitting"}

WITHIN: dict[str, Any] = {
    "$defs": {
        "fitting": {
            "minimum": -(2**53),
            "maximum": 2**53,
            "items": _FITTING,
            "additionalProperties": _FITTING,
        }
    },
    "additionalProperties": _FITTING,
}
"""What an answer that is an object has in it, however deep: no numbers beyond what a browser keeps exactly.

Airflow cannot hand numbers of more than 64 bits to a task, and the task then dies without a line in its log.
"""


def between(least: float, most: float) -> dict[str, Any]:
    """Give the bounds of a number that a form asks for.

    A browser puts a number that lies outside ``minimum`` and ``maximum`` onto the nearer of them as soon as
    the field is left: -5 days become 0. Where they stand in ``allOf`` it leaves the number alone, and Airflow
    refuses it by what was typed.
    """
    return {"allOf": [{"minimum": least, "maximum": most}]}


MOST_CHANGES = 10_000_000
"""The most that a form takes for a number of changes."""
