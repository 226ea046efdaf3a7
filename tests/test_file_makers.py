"""Files and folders are opened and made in few places, where it is decided how."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

OPENERS = {
    "chmod", "fdopen", "fchmod", "makedirs", "mkdir", "mkfifo", "mkstemp", "mkdtemp", "open", "read_bytes",
    "read_text", "symlink", "symlink_to", "touch", "write_bytes", "write_text", "NamedTemporaryFile",
    "TemporaryDirectory", "TemporaryFile", "copyfile", "copytree", "copy2",
}  # fmt: skip

KNOWN = {
    # Of a folder that is nobody else's, and of the kernel.
    "airflow_bitrix/client/allowance.py": {"mkdir", "open", "read_text"},
    "airflow_bitrix/core/languages.py": {"open"},  # of this package
    "airflow_bitrix/files/locks.py": {"open"},  # a folder
    "airflow_bitrix/files/own_files.py": {"chmod", "fchmod", "fdopen", "mkdir", "open", "TemporaryFile"},
    "airflow_bitrix/files/plain_files.py": {"fdopen", "open"},
    "airflow_bitrix/report/page.py": {"read_text"},  # of this package
}


def called(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name in OPENERS:
                yield name


@pytest.mark.attack
def test_files_are_opened_and_made_in_few_places() -> None:
    found = {}
    for folder in ("airflow_bitrix", "dags"):
        for path in (ROOT / folder).rglob("*.py"):
            name = path.relative_to(ROOT).as_posix()
            names = set(called(ast.parse(path.read_text())))
            if names and not name.startswith("airflow_bitrix/sandbox/"):
                found[name] = names
    assert found == KNOWN
