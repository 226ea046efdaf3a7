"""PHP's own rules: parsing, casting and the choice between list and object."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.sandbox import php


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {}),
        ("a=1&b=2", {"a": "1", "b": "2"}),
        ("a", {"a": ""}),
        ("&&a=1&", {"a": "1"}),
        ("=1", {}),
        ("a=b=c", {"a": "b=c"}),
        ("a[]=1&a[]=2", {"a": {"0": "1", "1": "2"}}),
        ("a[5]=1&a[]=2", {"a": {"5": "1", "6": "2"}}),
        ("a[x]=1&a[]=2", {"a": {"x": "1", "0": "2"}}),
        ("a[b][c]=1&a[b][d]=2", {"a": {"b": {"c": "1", "d": "2"}}}),
        ("a=1&a[b]=2", {"a": {"b": "2"}}),
        ("a[b]=2&a=1", {"a": "1"}),
        ("a.b=1&c d=2&+e=3", {"a_b": "1", "c_d": "2", "e": "3"}),
        ("a[b.c]=1", {"a": {"b.c": "1"}}),
        ("a[b=1", {"a_b": "1"}),
        ("a[b]c=1", {"a": {"b": "1"}}),
        ("[a]=1", {"_a]": "1"}),
        ("a%5Bb%5D=%C3%A4+%2B", {"a": {"b": "ä +"}}),
        ("filter[%3E%3DID]=5", {"filter": {">=ID": "5"}}),
    ],
)
def test_parse_str(query: str, expected: Any) -> None:
    assert php.parse_str(query) == expected


@pytest.mark.parametrize(
    ("value", "number"),
    [
        ("5", 5),
        (" 5", 5),
        ("5abc", 5),
        ("abc", 0),
        ("", 0),
        ("-7", -7),
        ("1.9", 1),
        ("1e3", 1000),
        (None, 0),
        (True, 1),
        (False, 0),
        (2.9, 2),
        (float("nan"), 0),
        ([], 0),
        ({}, 0),
        ([0], 1),
        ({"a": 1}, 1),
        ("8e1x", 80),
        ("\u0665", 0),
        ("\u00a05", 0),
        ("9" * 30, 2**63 - 1),
        ("-1e30", -(2**63)),
        (1e30, 5076964154930102272),
        (float("inf"), 0),
    ],
)
def test_to_int(value: Any, number: int) -> None:
    assert php.to_int(value) == number


@pytest.mark.parametrize(
    ("value", "number", "expected"),
    [
        ("5", 5, 0),
        ("5.0", 5, 0),
        ("5abc", 5, 1),
        ("abc", 0, 1),
        ("", 0, -1),
        (".9", 0, 1),
        (" x", 0, -1),
        (True, 5, 0),
        (False, 5, -1),
        (0.5, 0, 1),
        ("9" * 30, 2**63 - 1, 1),
    ],
)
def test_compare(value: Any, number: int, expected: int) -> None:
    assert php.compare(value, number) == expected


@pytest.mark.parametrize(
    ("value", "number"),
    [("1.5", 1.5), ("5abc", 5.0), ("inf", 0.0), ("1e999", 0.0), (float("inf"), 0.0), (True, 1.0), ([5], 1.0)],
)
def test_to_float(value: Any, number: float) -> None:
    assert php.to_float(value) == number


@pytest.mark.parametrize(
    ("value", "truth"), [("false", True), ("0", False), ("", False), ("0.0", True), (0, False), ([], False)]
)
def test_is_truthy(value: Any, *, truth: bool) -> None:
    assert php.is_truthy(value) is truth


@pytest.mark.parametrize(
    ("array", "written"),
    [
        ({}, []),
        ({"0": "a", "1": "b"}, ["a", "b"]),
        ({"1": "b", "0": "a"}, {"1": "b", "0": "a"}),
        ({"1": "b"}, {"1": "b"}),
        ({"00": "a"}, {"00": "a"}),
    ],
)
def test_as_json_array(array: Any, written: Any) -> None:
    assert php.as_json_array(array) == written


def test_split_command() -> None:
    assert php.split_command("a.b?c=1?d=2#e") == ("a.b", "c=1?d=2")
    assert php.split_command("a.b#?c=1") == ("a.b", "")
    assert php.split_command("a.b?c=1\n2") == ("a.b", "c=1_2")
    assert php.split_command("x:a.b?c=1:2") == ("a.b", "c=1:2")
    assert php.split_command("x://h/a.b") == ("x://h/a.b", "")
