"""What a DAG file says outright, and no template or other task: it is checked when the DAG is parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import Any

from airflow_bitrix.core.rules import Rule
from airflow_bitrix.hooks.failures import final_failures

_TEMPLATE = ("{{", "{%", "{#")
_PLAIN = (str, int, float, date, timedelta, type(None), type, Rule)


def check_constants(task: object, *checks: tuple[str, Callable[[], object]]) -> None:
    """Make the checks whose attributes are constants; they raise what the DAG's import error will say.

    Where a task is mapped, its values come when it runs: Airflow is not to try those again, either.

    :param task: An operator at the end of its ``__init__``.
    :param checks: The attributes that each goes by, parted by blanks, and the check.
    """
    with final_failures():
        for names, check in checks:
            if all(is_constant(getattr(task, name)) for name in names.split()):
                check()


def is_constant(value: Any) -> bool:
    """Whether a value is known when the DAG is parsed: nothing in it is a template or comes from a task."""
    if isinstance(value, Mapping):
        return all(is_constant(key) and is_constant(one) for key, one in value.items())
    if isinstance(value, (list, tuple, set, frozenset)):
        return all(map(is_constant, value))
    return isinstance(value, _PLAIN) and not (isinstance(value, str) and any(map(value.count, _TEMPLATE)))
