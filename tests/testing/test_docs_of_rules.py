"""The examples of the page about rules, as they stand there: a rule, its DAG and tests, run by pytest."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "rules.md"


@pytest.mark.slow
def test_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    page = PAGE.read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    dag, test, others = blocks[0], blocks[1], blocks[-1]
    (ini,) = re.findall(r"```ini\n(.*?)```", page, re.DOTALL)
    files = {"dags/vip.py": dag, "tests/test_vip.py": test, "tests/test_facts.py": others, "pytest.ini": ini}
    assert sum(bool(line) for text in (dag, test) for line in text.splitlines()) <= 25
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("AIRFLOW")}
    # A home that a test must not touch: there is no such folder, and none may be made.
    home = tmp_path / "real"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**environment, "AIRFLOW_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "4 passed" in done.stdout, done.stdout[-5000:] + done.stderr[-2000:]
    assert not home.exists()
