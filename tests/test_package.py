"""What is shipped: the wheel holds the package, its data and the sample DAGs, and nothing else."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

from airflow_bitrix import __version__

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


def test_what_an_index_shows_of_the_readme_leads_to_files_of_the_same_version(dist: Path) -> None:
    (made,) = dist.glob("*.whl")
    packed = zipfile.ZipFile(made)
    (name,) = [one for one in packed.namelist() if one.endswith(".dist-info/METADATA")]
    head, _, text = packed.read(name).decode().partition("\n\n")
    assert text.count("](") == (ROOT / "README.md").read_text().count("](")
    leads = re.findall(r"(!?)\[[^\]]*\]\(([^)]+)\)", text)
    outside = [place for _, place in leads if not re.match("https?://|#", place)]
    assert outside == []
    host = "https://raw.githubusercontent.com/airflow-bitrix/airflow-bitrix"
    pictures = {place.rpartition("/")[0] for mark, place in leads if mark}
    assert pictures == {f"{host}/v{__version__}/docs/images"}
    told = set(re.findall("^Project-URL: ([^,]+)", head, re.MULTILINE))
    assert told == {"Homepage", "Documentation", "Source", "Issues", "Changelog"}


def test_the_dist_and_the_package_have_names_that_airflow_finds_examples_by() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["name"].replace("-", "_") == "airflow_bitrix"


def test_dependencies_have_lower_bounds_only() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for requirement in [*project["dependencies"], *project["optional-dependencies"]["dev"]]:
        _, bound, version = requirement.partition(">=")
        assert bound == ">="
        assert version.replace(".", "").isdigit()
