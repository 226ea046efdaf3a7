"""The ``batch`` method: up to 50 commands, one after the other, each with its own outcome."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import php
from airflow_bitrix.sandbox.calls import Answer
from airflow_bitrix.sandbox.errors import RestError

if TYPE_CHECKING:
    from collections.abc import Callable

    Run = Callable[[str, Any], tuple[Answer | RestError, dict[str, Any]]]

MAX_COMMANDS = 50
NOT_IN_A_BATCH = frozenset({"batch", "download", "upload"})

# The reference swallows everything up to the next space, whatever stands before and behind its brackets.
_REFERENCE = re.compile(r"\$(result|next|total|time|error)(\S*)", re.IGNORECASE)


@dataclass
class Maps:
    """The five maps of a batch answer, by command key."""

    result: dict[str, Any] = field(default_factory=dict)
    error: dict[str, Any] = field(default_factory=dict)
    total: dict[str, Any] = field(default_factory=dict)
    next: dict[str, Any] = field(default_factory=dict)
    time: dict[str, Any] = field(default_factory=dict)

    def as_result(self) -> dict[str, Any]:
        """The result of the batch: each map a list or an object as PHP would have it."""
        return {
            "result": php.as_json_array(self.result),
            "result_error": php.as_json_array(self.error),
            "result_total": php.as_json_array(self.total),
            "result_next": php.as_json_array(self.next),
            "result_time": php.as_json_array(self.time),
        }


def _walk(found: Any, path: list[str]) -> Any:
    """Follow a path as far as it goes: what lies at the last step that exists is taken."""
    for key in path:
        below = php.item(found, key)
        if below is None:
            break
        found = below
    return found


def _steps(behind: str) -> list[str]:
    """Give what stands in brackets behind the word of a reference."""
    parts = (part.partition("[")[2] for part in behind.split("]")[:-1])
    return [part for part in parts if part]


def _substitute_text(text: str, maps: Maps) -> Any:
    for reference in list(_REFERENCE.finditer(text)):
        path = _steps(reference[2])
        if not path:
            continue
        # Found in any case, and looked up as it is written: a word in capitals is nothing.
        found = _walk(getattr(maps, reference[1], None), path)
        if reference[0] == text:
            return found
        if isinstance(found, (str, int, float)) and not isinstance(found, bool):
            text = text.replace(reference[0], str(found))
    return text


def substitute(value: Any, maps: Maps) -> Any:
    """Replace references to earlier outcomes in values. Keys hold none: a query is split at brackets."""
    if isinstance(value, dict):
        return {key: substitute(below, maps) for key, below in value.items()}
    return _substitute_text(value, maps) if isinstance(value, str) and "$" in value else value


def run(params: Any, run_command: Run, max_input_vars: int) -> Maps:
    """Run the commands of a request; ``run_command`` takes a method and its parameters."""
    given = {name.upper(): value for name, value in php.items(params)}
    commands, halt = given.get("CMD"), given.get("HALT")
    maps = Maps()
    for position, (key, command) in enumerate(php.items(commands)):
        if position >= MAX_COMMANDS:
            outcome: Answer | RestError = RestError(
                "ERROR_BATCH_LENGTH_EXCEEDED", "Max batch length exceeded"
            )
            time: dict[str, Any] = {}
        elif not isinstance(command, str):
            continue
        else:
            method, query = php.split_command(command)
            sent = substitute(php.parse_str(query, max_input_vars), maps)
            if method in NOT_IN_A_BATCH:
                outcome = RestError("ERROR_BATCH_METHOD_NOT_ALLOWED", "Method is not allowed for batch usage")
                time = {}
            elif method.lower() == "batch":  # refused by its name, and that only in small letters
                outcome, time = Answer(run(sent, run_command, max_input_vars).as_result()), {}
            else:
                outcome, time = run_command(method, sent)
        if isinstance(outcome, RestError):
            maps.error[key] = outcome.body()
            if php.is_truthy(halt):
                break
            continue
        maps.result[key] = outcome.result
        maps.time[key] = time
        if outcome.total is not None:
            maps.total[key] = outcome.total
        if outcome.next is not None:
            maps.next[key] = outcome.next
    return maps
