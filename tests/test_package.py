"""What is shipped: the wheel holds the package, its data and the sample DAGs, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


SAMPLES = {path.name for path in (ROOT / "dags").glob("bitrix24_*.py")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """What the wheel holds that is built in a clone with a DAG of its owner's beside the samples."""
    clone, folder = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("wheel")
    for name in ("airflow_bitrix", "dags"):
        shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE", ".gitignore"):
        shutil.copy(ROOT / name, clone)
    (clone / "dags" / "bitrix24_of_my_own.py").write_text("CODE = 'a secret'\n")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=clone, check=True, capture_output=True)
    (made,) = folder.glob("*.whl")
    return set(zipfile.ZipFile(made).namelist())


def test_the_wheel_holds_the_sample_dags_and_no_other(wheel: set[str]) -> None:
    folder = "airflow_bitrix/example_dags/"
    assert {name.removeprefix(folder) for name in wheel if name.startswith(folder)} == SAMPLES
    assert len(SAMPLES) > 1


def test_the_wheel_holds_the_package_its_types_and_the_page(wheel: set[str]) -> None:
    modules = {path.relative_to(ROOT).as_posix() for path in (ROOT / "airflow_bitrix").rglob("*.py")}
    assert {*modules, "airflow_bitrix/py.typed", "airflow_bitrix/report/report.html.j2"} <= wheel
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
