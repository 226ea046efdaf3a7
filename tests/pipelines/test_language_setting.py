"""``[bitrix24] language``: forms and workers speak it, whatever of the package a DAG file imports."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SAYS = """
from airflow_bitrix.core.kind_words import owners
import airflow_bitrix.{room}
print(owners("lead", 21))
"""


def _said(room: str, language: str, home: Path) -> subprocess.CompletedProcess[str]:
    about = {"AIRFLOW_HOME": str(home), "AIRFLOW__BITRIX24__LANGUAGE": language}
    command = [sys.executable, "-c", SAYS.format(room=room)]
    return subprocess.run(command, env=about, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("room", ["pipelines.trigger_forms", "operators.contact_links"])
def test_what_a_dag_file_imports_speaks_the_language_of_the_setting(room: str, tmp_path: Path) -> None:
    assert _said(room, "ru", tmp_path).stdout == "21 лид\n"


def test_a_language_that_there_is_not_is_refused_in_a_sentence(tmp_path: Path) -> None:
    told = _said("pipelines.trigger_forms", "de", tmp_path).stderr
    assert "[bitrix24] language: 'de' is not accepted; accepted: en or ru" in told
