"""What a DAG file imports: it speaks ``[bitrix24] language``, and loads no HTTP client."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SAYS = """
import sys
import {module}
from airflow_bitrix.core.kind_words import owners
print(owners("lead", 21), [name for name in ("aiohttp", "requests") if name in sys.modules])
"""


def _said(module: str, language: str, home: Path) -> subprocess.CompletedProcess[str]:
    about = {"AIRFLOW_HOME": str(home), "AIRFLOW__BITRIX24__LANGUAGE": language}
    command = [sys.executable, "-c", SAYS.format(module=module)]
    return subprocess.run(command, env=about, capture_output=True, text=True, check=False)


MODULES = (
    "operators.contact_links",
    "operators.housekeeping",
    "operators.link_plans",
    "pipelines.carry_out",
    "sensors.contact_links",
    "sensors.records",
)


def test_what_a_dag_file_imports_speaks_the_setting_and_is_light(tmp_path: Path) -> None:
    said = _said(", ".join(f"airflow_bitrix.{name}" for name in MODULES), "ru", tmp_path)
    assert said.stdout == "21 лид []\n", said.stderr


def test_a_language_that_there_is_not_is_refused_in_a_sentence(tmp_path: Path) -> None:
    told = _said("airflow_bitrix.pipelines.trigger_forms", "de", tmp_path).stderr
    assert "[bitrix24] language: 'de' is not accepted; accepted: en or ru" in told
