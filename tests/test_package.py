"""What is shipped: the wheel holds the package, its data and the sample DAGs, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(made).namelist())


def test_the_wheel_holds_the_sample_dags_the_types_and_the_page(wheel: set[str]) -> None:
    for path in (ROOT / "dags").glob("*.py"):
        assert f"airflow_bitrix/example_dags/{path.name}" in wheel
    assert {"airflow_bitrix/py.typed", "airflow_bitrix/report/report.html.j2"} <= wheel
    tops = {name.split("/")[0] for name in wheel if ".dist-info" not in name}
    assert tops == {"airflow_bitrix"}


def test_the_dist_and_the_package_have_names_that_airflow_finds_examples_by() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"].replace("-", "_") == "airflow_bitrix"


def test_dependencies_have_lower_bounds_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        _, bound, version = requirement.partition(">=")
        assert bound == ">="
        assert version.replace(".", "").isdigit()
