"""Filter conditions of the list methods, turned into tests on rows. Pure.

Each condition says what one key of a request's ``filter`` asks; the list methods decide what to do with
a field that does not exist: the legacy ones drop it without a word, ``crm.item.list`` refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from airflow_bitrix.sandbox import php
from airflow_bitrix.sandbox.fields import Field, parse_datetime

Row = dict[str, Any]
Test = Callable[[Row], bool]

MAX_ID = 2**62
_PREFIX = re.compile(r"(!><|!=%|!%=|><|>=|<=|!=|!%|!@|=%|%=|=|!|>|<|@|%)?(.*)\Z", re.DOTALL)
_LIST_OPERATIONS = {"", "=", "!", "!=", "@", "!@"}


@dataclass(frozen=True, slots=True)
class Selection:
    """Which records a filter lets through: bounds on the id, candidates if known, and tests on the row."""

    low: int = 1
    high: int = MAX_ID
    candidates: frozenset[int] | None = None
    tests: tuple[Test, ...] = ()
    joined: frozenset[int] = frozenset()
    """Several contacts asked for at once: the portal then sees an owner once per matching link."""

    def with_test(self, test: Test) -> Selection:
        """The same with one more test."""
        return replace(self, tests=(*self.tests, test))

    def among(self, ids: frozenset[int]) -> Selection:
        """The same, narrowed to these ids."""
        return replace(self, candidates=ids if self.candidates is None else self.candidates & ids)

    def matches(self, row: Row) -> bool:
        """Whether a row passes everything but the bounds."""
        return all(test(row) for test in self.tests)

    def accepts(self, row: Row) -> bool:
        """Whether a row passes, bounds included: for conditions that are nested under others."""
        known = self.candidates is None or row["ID"] in self.candidates
        return known and self.low <= row["ID"] <= self.high and self.matches(row)


def split_key(key: str) -> tuple[str, str]:
    """Operation and field of a filter key such as ``!@id``."""
    found = _PREFIX.match(key)
    return (found[1] or "", found[2]) if found else ("", key)


def takes_a_list(operation: str) -> bool:
    """Whether the older lists read several values of the operation; of others they make one."""
    return operation in _LIST_OPERATIONS


def narrow_by_id(selection: Selection, operation: str, value: object) -> Selection:
    """Add a condition on the id. Bounds and sets spare a walk over all records."""
    if operation in {"", "=", "@"}:
        return selection.among(frozenset(php.to_int(one) for one in php.values(value)))
    number = php.to_int(value)
    if operation in {">", ">="}:
        return replace(selection, low=max(selection.low, number + (operation == ">")))
    if operation in {"<", "<="}:
        return replace(selection, high=min(selection.high, number - (operation == "<")))
    excluded = {php.to_int(one) for one in php.values(value)}
    return selection.with_test(lambda row: row["ID"] not in excluded)


_TRUTHS = {"1": "Y", "true": "Y", "True": "Y", "0": "N", "false": "N", "False": "N"}


def _normal(field: Field, value: object) -> Any:
    if field.is_number:
        return php.to_int(value)
    if field.type == "double":
        return field.clean(value)
    if field.type == "datetime":
        return parse_datetime(value)
    return "" if value is None or value is False else str(value).lower()


def _like(pattern: str) -> Callable[[Any], bool]:
    first, *parts = (re.escape(part).replace("_", ".") for part in pattern.split("%"))
    # The first place of a part between two % is as good as any other, and no other is tried.
    between = "".join(f"(?>.*?{part})" for part in parts[:-1])
    compiled = re.compile(first + between + "".join(f".*{part}" for part in parts[-1:]) + r"\Z", re.DOTALL)
    return lambda kept: compiled.match(str(kept)) is not None


def _positive(field: Field, operation: str, value: object) -> Callable[[Any], bool]:
    if operation in {"", "=", "@"}:
        wanted = {_normal(field, one) for one in php.values(value)}
        return lambda kept: kept in wanted
    if operation == "%":
        part = str(_normal(field, value))
        return lambda kept: part in str(kept)
    if operation in {"=%", "%="}:
        return _like(str(_normal(field, value)))
    bound = _normal(field, value)
    comparisons: dict[str, Callable[[Any], bool]] = {
        ">": lambda kept: kept > bound,
        ">=": lambda kept: kept >= bound,
        "<": lambda kept: kept < bound,
        "<=": lambda kept: kept <= bound,
    }
    compare = comparisons[operation]
    return lambda kept: kept is not None and bound is not None and compare(kept)


def field_test(field: Field, operation: str, value: object) -> Test:
    """The test of one condition on a field that is not the id."""
    negative = operation.startswith("!")
    if field.type == "char" and not php.is_array(value):
        value = _TRUTHS.get(str(value), value)
    check = _positive(field, operation[1:] if negative else operation, value)

    def kept_values(row: Row) -> list[Any]:
        kept = row.get(field.name)
        kept = field.default if kept is None else kept
        if field.type == "crm_multifield":
            return [text.lower() for text, _ in kept]
        if kept is None and field.is_number:
            return [0]
        return [_normal(field, kept) if isinstance(kept, str) or kept is None else kept]

    return lambda row: any(check(kept) for kept in kept_values(row)) != negative
