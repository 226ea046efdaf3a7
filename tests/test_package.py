"""What is shipped: the wheel holds the package, its data and the sample DAGs, and nothing else."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


SAMPLES = {path.name for path in (ROOT / "dags").glob("bitrix24_*.py")}


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is built in a clone with DAGs of its owner's beside the samples."""
    clone, folder = tmp_path_factory.mktemp("clone"), tmp_path_factory.mktemp("dist")
    left = shutil.ignore_patterns(".*", "__pycache__", "build", "dist")
    shutil.copytree(ROOT, clone, ignore=left, dirs_exist_ok=True)
    shutil.copy(ROOT / ".gitignore", clone)
    for place in ("dags", "airflow_bitrix/example_dags"):
        (clone / place).mkdir(exist_ok=True)
        (clone / place / "bitrix24_of_my_own.py").write_text("CODE = 'a secret'\n")
    command = [sys.executable, "-m", "hatchling", "build", "--directory", str(folder)]
    subprocess.run(command, cwd=clone, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="module")
def wheel(dist: Path) -> set[str]:
    (made,) = dist.glob("*.whl")
    return set(zipfile.ZipFile(made).namelist())


def test_the_sdist_holds_the_sample_dags_and_no_other(dist: Path) -> None:
    (made,) = dist.glob("*.tar.gz")
    with tarfile.open(made) as packed:
        names = {name.partition("/")[2] for name in packed.getnames()}
    assert {name.removeprefix("dags/") for name in names if name.startswith("dags/")} == SAMPLES
    assert [name for name in names if "example_dags" in name] == []
    assert {"airflow_bitrix/compat.py", "tests/test_package.py", "README.md", "Makefile"} <= names


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
