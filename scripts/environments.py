"""Environments with other versions of Airflow than ``.venv`` has: what ``make test-floors`` tests in.

A *set* is what lies beside an Airflow in such an environment, as ``name==version`` lines: what a resolver
finds on the day after that Airflow was released, which is what who follows its documentation has. The set
``lowest`` is made of the lowest versions that pyproject.toml allows, with the libraries of their time. What
opens an object storage of S3 is among them, which some tests need.

``python -m scripts.environments`` writes the sets that are kept in the repository anew.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from uv import find_uv_bin

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
SETS = ROOT / "tests" / "floors" / "sets"
MADE = ROOT / "build" / "floors"
LOWEST = "lowest"

RELEASES: Mapping[str, str] = {
    "3.1.3": "2025-11-15",
    "3.1.5": "2025-12-13",
    "3.1.6": "2026-01-14",
    "3.1.7": "2026-02-05",
    "3.1.8": "2026-03-12",
    "3.2.0": "2026-04-08",
    "3.2.1": "2026-04-23",
    "3.2.2": "2026-05-30",
    "3.3.0": "2026-07-07",
    "3.3.1": "2026-08-13",
    "3.3.2": "2026-09-18",
}
"""The releases of Airflow that pyproject.toml allows, with the day after each was uploaded."""


def newest_of_each() -> tuple[str, ...]:
    """Give the newest release of each minor version, oldest first."""
    found = {release.rpartition(".")[0]: release for release in RELEASES}
    return tuple(found.values())


KEPT = (LOWEST, *newest_of_each())
"""The sets in the repository, which tests go by."""


STORED = (KEPT[0], KEPT[-1])
"""Sets beside which the extra ``s3`` is installed, and runs lie on an object storage."""


class MakingError(RuntimeError):
    """An environment cannot be made; the text says what the resolver or the installer said."""


def pins(name: str) -> Path:
    """Give the file of a set; one that is not kept in the repository is made under ``build``."""
    if name in KEPT:
        return SETS / f"{name}.txt"
    made = MADE / f"{name}.txt"
    if not made.exists():
        write_pins(name, made)
    return made


def write_pins(name: str, file: Path) -> None:
    """Resolve a set and write it down.

    :param name: ``lowest``, or a release of Airflow.
    """
    if name != LOWEST and name not in RELEASES:
        raise MakingError(f"set {name!r} is not accepted; accepted: {LOWEST}, {', '.join(RELEASES)}")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    texts = (*project["dependencies"], *project["optional-dependencies"]["s3"])
    wanted = [Requirement(text) for text in texts]
    airflow = next(iter(RELEASES)) if name == LOWEST else name
    lines = [f"apache-airflow=={airflow}"]
    lines += [str(one) if name == LOWEST else _named(one) for one in wanted if one.name != "apache-airflow"]
    lowest = ["--resolution", "lowest-direct"] if name == LOWEST else []
    made = uv(
        "pip", "compile", "-", "--quiet", "--no-header", "--no-annotate", "--python-version", "3.11",
        "--exclude-newer", RELEASES[airflow], *lowest,
        given="\n".join(lines),
    )  # fmt: skip
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(made)


def _named(one: Requirement) -> str:
    return one.name + (f"[{','.join(sorted(one.extras))}]" if one.extras else "")


def read_pins(file: Path) -> dict[str, str]:
    """Give the versions of a file of ``name==version`` lines, by canonical name."""
    lines = [line for line in file.read_text().splitlines() if line and not line.startswith("#")]
    found = [line.split("==") for line in lines]
    return {str(canonicalize_name(name)): version for name, version in found}


def build_wheel(folder: Path) -> Path:
    """Build the package's wheel, as ``make dist`` does."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    _run(command, "")
    (made,) = folder.glob("*.whl")
    return made


def make(folder: Path, *, python: str, install: Sequence[str], constraints: Sequence[Path]) -> Path:
    """Make an environment in an empty folder, and give its Python.

    :param python: A Python to make it with.
    :param install: What is installed, as ``pip install`` takes it.
    :param constraints: Files of versions to keep to.
    """
    uv("venv", "--quiet", "--clear", "--python", python, str(folder))
    inside = folder / "bin" / "python"
    held = [text for file in constraints for text in ("--constraint", str(file))]
    uv("pip", "install", "--quiet", "--python", str(inside), *held, *install)
    return inside


def frozen(python: Path) -> dict[str, str]:
    """Tell what an environment holds, by canonical name, once nothing in it misses anything."""
    uv("pip", "check", "--quiet", "--python", str(python))
    lines = uv("pip", "freeze", "--quiet", "--python", str(python)).splitlines()
    found = [re.split(r"==| @ ", line, maxsplit=1) for line in lines]
    return {str(canonicalize_name(name)): version for name, version in found}


def uv(*arguments: str, given: str = "") -> str:
    """Run ``uv`` and give what it prints.

    :raises MakingError: It failed.
    """
    return _run([find_uv_bin(), *arguments], given)


def _run(command: Sequence[str], given: str) -> str:
    # Whatever environment this process runs in, it is not the one to work on.
    clean = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONPATH")}
    done = subprocess.run(
        command, cwd=ROOT, env=clean, input=given, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise MakingError(f"{' '.join(command[1:4])} failed:\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def write_room(file: Path) -> None:
    """Write down the newest versions of our own environment that fit beside what users have."""
    users = str(ROOT / "tests" / "floors" / "users.txt")
    inside = ["--extra", "dev", "--python", sys.executable]
    file.write_text(
        uv("pip", "compile", "--quiet", "--no-header", "--no-annotate", *inside, "pyproject.toml", users)
    )


def main() -> None:
    """Write the sets that are kept."""
    for name in KEPT:
        write_pins(name, SETS / f"{name}.txt")
        print(f"{name}: {len(read_pins(SETS / f'{name}.txt'))} packages")


if __name__ == "__main__":
    main()
