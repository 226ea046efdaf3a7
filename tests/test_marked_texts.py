"""What the code says to people goes through the catalogues: no sentence stands in it without a mark."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jinja2 import Environment, nodes

ROOT = Path(__file__).resolve().parents[1]

SPEAKING = (
    "airflow_bitrix/assets",
    "airflow_bitrix/client",
    "airflow_bitrix/compat.py",
    "airflow_bitrix/core",
    "airflow_bitrix/crm",
    "airflow_bitrix/engine",
    "airflow_bitrix/files",
    "airflow_bitrix/hooks",
    "airflow_bitrix/links.py",
    "airflow_bitrix/login.py",
    "airflow_bitrix/notifications",
    "airflow_bitrix/operators",
    "airflow_bitrix/pipelines",
    "airflow_bitrix/plugins",
    "airflow_bitrix/rules",
    "airflow_bitrix/sensors",
    "airflow_bitrix/triggers",
    "airflow_bitrix/report",
    "dags",
)
"""What speaks to people."""

MARKS = {"gettext", "gettext_noop", "ngettext", "ngettext_noop", "pgettext", "npgettext"}

NO_TEXTS_OF = {
    # programmers read these
    "TypeError",
    "RuntimeError",
    "debug",
    # patterns, and names that are split
    "check_constants",
    "compile",
    "split",
    # of the machine
    "cast",
    "send_header",
    # before Airflow is there, nobody knows the language
    "ArgumentParser",
    "ArgumentTypeError",
    "add_argument",
}
"""Whose arguments are no texts."""

NO_TEXTS = {
    # what a file or the portal holds, whatever language is spoken
    "(a log record that cannot be read)",
    "(not shown)",
    "<built-in method items",
    "as it was already",
    "brought back already, as far as can be",
    "cannot be brought nearer",
    "changed since",
    "companies no longer exist",
    "companies not seen",
    "contacts no longer exist",
    "contacts not seen",
    "company not seen",
    "decision not readable",
    "dry run",
    "in use",
    "last snapshot",
    "waits for approval",
    "dry run: ",
    "dry run: {}",
    "gzip, deflate",
    "left out",
    "no longer there",
    "not asked",
    "run {} of the DAG {}",
    "that of a user who is not known",
    "that of user {}",
    "what was there cannot be read",
    "within limit",
    # what a browser reads
    '<a href="{}" target="_blank" rel="noopener noreferrer">{}</a>',
    'attachment; filename="{}"{}',
    "default-src 'none'; style-src {}; script-src {}; connect-src {}; base-uri 'none'; form-action 'none'",
    "Not Found",
    "{}; frame-ancestors 'self'",
    # of a plugin that imports next to nothing
    "The report tab needs something that this Airflow does not have; all else works",
    # names of arguments
    "fields of {}",
    "id of {}",
    "{} of the environment",
    # what only the code itself reads
    "dag id",
    "dd.MM.yyyy HH:mm",
    "it is no place of a watcher",
    "no table of owners",
    "run id",
    "task id",
    "the ends",
    "the number",
    "the page",
    "…/dags/<dag id>/runs/<run id>",
}
"""What has blanks and is no text for people."""

_WORDS = re.compile(r"[A-Za-z]{2,}[,:;.”]? +[“(\"']*[A-Za-z]{2,}")
_OTHERS = re.compile(r"\{\{.*?\}\}|.*redis\.call.*|^[A-Z\s]+$", re.DOTALL)
"""A template of Airflow's, a script of Redis, a list of countries."""


def _unmarked(source: str) -> list[str]:
    """Give the texts of a module that nobody has marked."""
    tree = ast.parse(source)
    return [told for told in _texts(tree) if _WORDS.search(_OTHERS.sub("", told)) and told not in NO_TEXTS]


def _texts(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        yield "".join(str(one.value) if isinstance(one, ast.Constant) else "{}" for one in node.values)
        yield from _not_extracted(node)
    for one in _below(node):
        yield from _texts(one)


def _not_extracted(node: ast.JoinedStr) -> Iterator[str]:
    """Give the texts that are marked within an f-string, of which Python 3.11 makes no tokens."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and _name(call.func) in MARKS:
            told = (one.value for one in call.args if isinstance(one, ast.Constant))
            yield from (f"marked in an f-string: {text}" for text in told if isinstance(text, str))


def _below(node: ast.AST) -> list[ast.AST]:
    """Give the parts of a piece of code that may hold texts."""
    below = list(ast.iter_child_nodes(node))
    match node:
        # a docstring, what others said, values of a type
        case ast.Expr(value=ast.Constant()) | ast.Compare() | ast.Subscript(value=ast.Name(id="Literal")):
            return []
        case ast.JoinedStr():
            return [one.value for one in node.values if isinstance(one, ast.FormattedValue)]
        case ast.arg() | ast.AnnAssign():
            return [one for one in below if one is not node.annotation]
        case ast.Call():
            name = _name(node.func)
            if name == "InvalidInput":  # its first argument is the name of one
                return [*node.args[1:], *node.keywords]
            return [] if name in MARKS | NO_TEXTS_OF else below
    return below


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _modules() -> Iterator[Path]:
    for name in SPEAKING:
        path = ROOT / name
        yield from sorted(path.rglob("*.py")) if path.is_dir() else [path]


def test_every_text_is_marked() -> None:
    found = {str(path.relative_to(ROOT)): _unmarked(path.read_text(encoding="utf-8")) for path in _modules()}
    assert {name: texts for name, texts in found.items() if texts} == {}


_NO_WORDS = re.compile(r"<(script|style)\b.*?</\1>|<[^<>]*>", re.DOTALL)


def _unmarked_in_page(source: str) -> list[str]:
    """Give the texts of a template that stand in it as they are."""
    parts = [
        node
        for found in Environment(autoescape=True).parse(source).find_all(nodes.Output)
        for node in found.nodes
    ]
    data = "\0".join(node.data for node in parts if isinstance(node, nodes.TemplateData))
    return [text for text in re.split("\0", _NO_WORDS.sub("\0", data)) if _WORDS.search(text)]


def test_every_text_of_a_page_is_marked() -> None:
    pages = [*(ROOT / "airflow_bitrix/report").glob("*.html.j2")]
    assert pages
    assert {page.name: texts for page in pages if (texts := _unmarked_in_page(page.read_text("utf-8")))} == {}
    assert _unmarked_in_page('<p class="a b c">{{ told }} of all changes</p>') == [" of all changes"]


@pytest.mark.parametrize(
    "source",
    [
        'raise PlanRefused("there is no plan")',
        'raise PlanRefused(f"there is no {what} in {folder}")',
        'raise InvalidInput("plan", given, "the folder of a plan")',
        'log.info("%s changes are planned", number)',
        'said = "nobody is asked" if dry else ""',
        """said = f"{gettext(', role {role}', role=role)}" """,
        'Param(title="Dry run", description="Writes nothing at all.")',
    ],
)
def test_a_text_without_a_mark_is_found(source: str) -> None:
    assert _unmarked(source)


@pytest.mark.parametrize(
    "source",
    [
        'raise PlanRefused(gettext("there is no plan"))',
        'raise InvalidInput("items of batch", given, gettext("the folder of a plan"))',
        'log.debug("What %s holds is not what it should:", path)',
        'def work():\n    """Do the work."""',
        'TASK = "{{ params.one or none }}"',
        'Answer = Literal["not asked", "asked of somebody"]',
        'found: "Mapping of str" = cast("Mapping of int", told)',
    ],
)
def test_what_is_no_text_needs_none(source: str) -> None:
    assert _unmarked(source) == []
