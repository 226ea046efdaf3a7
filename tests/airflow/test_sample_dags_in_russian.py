"""The sample DAGs where ``[bitrix24] language`` is ``ru``: nothing that a person reads of them is English."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any

import pytest

from tests.airflow.sample_dags import DAGS

_ENGLISH = re.compile(r"[A-Za-z]{2,} +[A-Za-z]{2,}")

_NAMES = re.compile(r"`[^`]*`|Bitrix24 report|CSV или JSON Lines|\\{.*?\\}")
"""What has the same name in each language."""


@pytest.fixture(scope="module")
def told(loaded_in_russian: subprocess.CompletedProcess[str]) -> dict[str, dict[str, Any]]:
    """What all sample DAGs say."""
    found: dict[str, dict[str, Any]] = json.loads(loaded_in_russian.stdout.splitlines()[-1])
    return found


def test_no_sentence_is_english(told: dict[str, dict[str, Any]]) -> None:
    assert len(told) == len([*DAGS.glob("*.py")])
    for dag_id, parts in told.items():
        texts = [parts["name"], parts["description"], parts["docs"]]
        for text in [*texts, *parts["titles"], *parts["choices"], *parts["tasks"], *parts["groups"]]:
            english = _ENGLISH.search(_NAMES.sub("", text))
            assert not english, (dag_id, english and english[0], text[:200])
            assert not text or not text.isascii() or text == "E-mail", (dag_id, text)


def test_names_in_the_code_stay(told: dict[str, dict[str, Any]]) -> None:
    assert all(name.isascii() for parts in told.values() for name in parts["ids"])


def test_the_docs_call_tasks_and_fields_as_the_page_does(told: dict[str, dict[str, Any]]) -> None:
    """In the tables of tasks; who reads of a task looks for it in the graph."""
    for dag_id, parts in told.items():
        shown = {*parts["tasks"], *parts["groups"], *parts["titles"]}
        rows = re.findall(r"^\| (\*[^|]*) \|", parts["docs"], re.MULTILINE)
        named = {name for row in rows for name in re.findall(r"\*([^*]+)\*", row)}
        assert named <= shown, (dag_id, named - shown)
