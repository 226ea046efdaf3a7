"""The sample DAGs where ``[bitrix24] language`` is ``ru``: nothing that a person reads of them is English."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import Any

import pytest

from tests.airflow.sample_dags import DAGS

LOADS = """
import importlib.util, json, sys
from pathlib import Path
from airflow.sdk import DAG

told = {}
for path in sorted(Path(sys.argv[1]).glob("*.py")):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    for dag in (one for one in vars(module).values() if isinstance(one, DAG)):
        schemas = [dag.params.get_param(name).schema for name in dag.params]
        told[dag.dag_id] = {
            "name": dag.dag_display_name,
            "description": dag.description,
            "docs": dag.doc_md,
            "titles": [one.get(part, "") for one in schemas for part in ("title", "description", "section")],
            "choices": [shown for one in schemas for shown in one.get("values_display", {}).values()],
            "tasks": [task.task_display_name for task in dag.tasks],
            "groups": [one.group_display_name for one in dag.task_group_dict.values() if one.group_id],
            "ids": [*dag.params, *dag.task_ids, dag.dag_id],
        }
print(json.dumps(told))
"""

_ENGLISH = re.compile(r"[A-Za-z]{2,} +[A-Za-z]{2,}")

_NAMES = re.compile(r"`[^`]*`|Bitrix24 report|CSV или JSON Lines|\\{.*?\\}")
"""What has the same name in each language."""


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What all sample DAGs say, loaded by another process, as Airflow's does it."""
    about = os.environ | {
        "AIRFLOW_HOME": str(tmp_path_factory.mktemp("home")),
        "AIRFLOW__BITRIX24__LANGUAGE": "ru",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR",
    }
    command = [sys.executable, "-c", LOADS, str(DAGS)]
    done = subprocess.run(command, env=about, capture_output=True, text=True, check=True)
    found: dict[str, dict[str, Any]] = json.loads(done.stdout.splitlines()[-1])
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
