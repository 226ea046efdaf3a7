"""No pattern of the package runs away, whatever text it meets: each is found in the source, and measured."""

from __future__ import annotations

import ast
import importlib
import pkgutil
import re
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import airflow_bitrix
from airflow_bitrix.core import redaction
from tests.growth import UNITS, hostile_texts, runs_away

ROOT = Path(airflow_bitrix.__file__).parent

USES = ("match", "fullmatch", "search", "sub", "split", "findall", "finditer")

MADE_WHILE_RUNNING = {
    # report.indexed: words of a search, each of them literal.
    "f'(?<!\\\\d){word}(?!\\\\d)' if word.isdecimal() else re.escape(word)": [r"(?<!\d)11(?!\d)", "aa"],
    # core.redaction: all spellings of the secrets that are known.
    "'|'.join(spelt)": [
        redaction._pattern_of(
            frozenset(("aaaaaaaaaaab", "a1%/&#0025u002a", "%25" * 9)), escaped=escaped
        ).pattern
        for escaped in (True, False)
    ],
    # sandbox.filters: a developer's own filter, with wildcards.
    "first + between + ''.join((f'.*{part}' for part in parts[-1:])) + '\\\\Z'": [
        "a" + "(?>.*?a)" * 9 + r".*b\Z",
    ],
}
"""Patterns that are made of what somebody gave: others like them."""

IN_A_TABLE = {
    "airflow_bitrix.core.redaction": ("sub",),
    "airflow_bitrix.files.id_cells": ("fullmatch",),
    "airflow_bitrix.report.indexed": ("search",),
    "airflow_bitrix.sandbox.items": ("sub",),
}
"""How patterns are used that have no name of their own."""


@dataclass(frozen=True)
class Found:
    """A pattern, where it stands, and how it is used."""

    place: str
    pattern: re.Pattern[str]
    use: str

    def work(self, text: str) -> object:
        """Use it as the package does."""
        if self.use == "sub":
            return self.pattern.sub("", text)
        given = getattr(self.pattern, self.use)(text)
        return list(given) if self.use == "finditer" else given


MAY_HAVE_ONE = re.compile(rf"\bre\.|\bpattern=|\b[A-Z_]+\.(?:{'|'.join(USES)})\b")
"""What the text of a module says that makes or uses one: each process of the tests reads them all."""


def modules() -> Iterator[tuple[ModuleType, list[ast.AST]]]:
    for about in pkgutil.walk_packages([str(ROOT)], "airflow_bitrix."):
        if "__main__" in about.name or "example_dags" in about.name:
            continue
        module = importlib.import_module(about.name)
        text = Path(str(module.__file__)).read_text(encoding="utf-8")
        if MAY_HAVE_ONE.search(text):
            yield module, list(ast.walk(ast.parse(text)))


def patterns() -> list[Found]:
    read = list(modules())
    uses: dict[str, set[str]] = defaultdict(set)
    for _, nodes in read:
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr in USES and isinstance(node.value, ast.Name):
                uses[node.value.id].add(node.attr)
    found: list[Found] = []
    for module, nodes in read:
        found += _of_module(module, nodes, uses)
    return found


def _of_module(module: ModuleType, nodes: list[ast.AST], uses: dict[str, set[str]]) -> Iterator[Found]:
    named = {
        id(node.value): node.targets[0].id
        for node in nodes
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    for node in nodes:
        if not isinstance(node, ast.Call):
            continue
        for given in node.keywords:  # of a trigger form
            if given.arg == "pattern":
                yield Found(
                    f"{module.__name__}:{node.lineno}", re.compile(ast.literal_eval(given.value)), "search"
                )
        if not isinstance(node.func, ast.Attribute) or ast.unparse(node.func.value) != "re":
            continue
        used = node.func.attr
        if used in USES:
            how: tuple[str, ...] = (used,)
        elif used == "compile":
            name = named.get(id(node), "")
            how = tuple(sorted(uses[name])) if name else IN_A_TABLE.get(module.__name__, USES)
            how = how or USES
        else:
            continue
        for one in _compiled(node, module):
            if isinstance(one.pattern, str):
                yield from (Found(f"{module.__name__}:{node.lineno}", one, each) for each in how)


def _compiled(call: ast.Call, module: ModuleType) -> list[re.Pattern[Any]]:
    pattern, flags = ast.unparse(call.args[0]), 0
    for given in [
        *call.args[2:],
        *(one.value for one in call.keywords if one.arg == "flags"),
        *call.args[1:2],
    ]:
        if ast.unparse(given).startswith("re."):
            flags = eval(ast.unparse(given), {"re": re})  # noqa: S307 (our own source)
    if pattern in MADE_WHILE_RUNNING:
        return [re.compile(one, flags) for one in MADE_WHILE_RUNNING[pattern]]
    try:
        return [re.compile(eval(pattern, vars(module)), flags)]  # noqa: S307
    except NameError:
        pytest.fail(f"{module.__name__}: what {pattern!r} comes to is not known here; name others like it")


FOUND = patterns()


def words_of(pattern: str) -> list[str]:
    """Give the words that stand in a pattern: texts of them come far before they do not fit."""
    plain = re.sub(
        r"\\([^\w])|\\[AbBdDsSwWZ]|\(\?[a-zA-Z:=!<P]*|[+*?]{1,2}|\{[\d,]*\}|\[\^?[^\]]*\]", r"\1 ", pattern
    )
    return [word for word in re.split(r"[\s()|^$]+", plain) if word]


def test_the_patterns_of_the_package_are_found() -> None:
    calls = re.compile(rf"\bre\.(?:compile|{'|'.join(USES)})\(")
    said = sum(
        len(calls.findall(path.read_text(encoding="utf-8")))
        for path in ROOT.rglob("*.py")
        if "__main__" not in path.name
    )
    assert said > 60
    assert len({one.place for one in FOUND}) >= said - 10
    others = [
        path for path in ROOT.rglob("*.py") if re.search(r"from re import|import regex", path.read_text())
    ]
    assert others == []


@pytest.mark.attack
@pytest.mark.parametrize("found", FOUND, ids=lambda found: f"{found.place}-{found.use}")
def test_a_pattern_takes_time_in_proportion_to_its_text(found: Found) -> None:
    words = words_of(found.pattern.pattern)
    for text in hostile_texts([*UNITS, *words], ["a", *words[:2]], ("", "\x01")):
        assert not runs_away(found.work, text)
