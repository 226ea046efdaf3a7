"""``make test-matrix``: all tests but those in a browser, beside each Airflow and each Python.

The newest release of each minor version of Airflow, with the set of its day, on each Python of this machine;
the tools that test come from constraints.txt. ``MATRIX="3.1.8-3.12 3.3.2-3.13"`` names the cells to run. Each
cell's output is kept in ``build/matrix``. Ends with a table, and with exit code 1 unless all that ran passed.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING

from scripts.environments import ROOT, MakingError, make, newest_of_each, pins, read_pins
from scripts.processes import clean_environment
from scripts.screen import Screen

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

SIDE_BY_SIDE = ("--numprocesses", "4", "--no-loadscope-reorder")
"""As ``make test`` runs them."""

MADE = ROOT / "build" / "matrix"

Cell = tuple[str, str]
"""A release of Airflow, and a minor version of Python."""


def pythons() -> dict[str, str]:
    """Give the Pythons that the package names, by minor version; empty where this machine has none."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [text.rpartition(" ")[2] for text in project["classifiers"] if ":: Python :: 3." in text]
    return {version: next(_working(version), "") for version in named}


def _working(version: str) -> Iterator[str]:
    # What pyenv puts into the path works only for the versions that it was told to show.
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    candidates = [str(path) for path in sorted(pyenv.glob(f"versions/{version}.*/bin/python"))]
    if shown := shutil.which(f"python{version}"):
        candidates.insert(0, shown)
    for candidate in candidates:
        command = [candidate, "-c", "import sys; print(sys.executable)"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)
        if not told.returncode:
            yield told.stdout.strip()


def rest_of_constraints(release: str) -> Path:
    """Write down those of our constraints that the set of a release has no version for."""
    held = read_pins(pins(release))
    tools = [
        f"{name}=={version}"
        for name, version in read_pins(ROOT / "constraints.txt").items()
        if name not in held
    ]
    file = MADE / f"{release}-tools.txt"
    file.write_text("\n".join(tools) + "\n")
    return file


def run(cell: Cell, python: str) -> str:
    """Run the tests in an environment of their own; give what came of them, in the words of pytest."""
    release, version = cell
    name = f"{release}-{version}"
    constraints = [pins(release), rest_of_constraints(release)]
    wanted = [f"apache-airflow=={release}", "--editable", ".[dev]"]
    inside = make(MADE / name, python=python, install=wanted, constraints=constraints)
    log = MADE / f"{name}.log"
    with log.open("w") as output:
        subprocess.run(
            [inside, "-m", "pytest", "-q", "--color", "no", *SIDE_BY_SIDE],
            cwd=ROOT,
            env=clean_environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
            check=False,
        )
    last = log.read_text().rstrip().rpartition("\n")[2]
    return re.sub(r", \d+ warnings?| in .*|=", "", last).strip()


def table(results: Mapping[Cell, str], releases: Sequence[str], versions: Sequence[str]) -> Iterator[str]:
    """Give the table as Markdown, a line each."""
    yield "| | " + " | ".join(f"Airflow {release}" for release in releases) + " |"
    yield "|:---|" + ":---|" * len(releases)
    for version in versions:
        cells = [results.get((release, version), "left out") for release in releases]
        yield f"| Python {version} | " + " | ".join(cells) + " |"


def is_green(result: str) -> bool:
    """Whether all tests of a cell have passed, and there were any."""
    return re.fullmatch(r"\d+ passed", result) is not None


def main() -> int:
    """Run the cells; return the exit code."""
    screen, have, releases = Screen(), pythons(), newest_of_each()
    MADE.mkdir(parents=True, exist_ok=True)
    cells = {f"{release}-{version}": (release, version) for release, version in product(releases, have)}
    results: dict[Cell, str] = {}
    for name in os.environ.get("MATRIX", "").split() or cells:
        if name not in cells:
            screen.failed(f"MATRIX: {name!r} is not accepted; accepted: {', '.join(cells)}")
            return 2
        release, version = cells[name]
        if not have[version]:
            results[release, version] = "left out: no such Python on this machine"
            continue
        screen.step(f"Airflow {release}, Python {version}")
        try:
            results[release, version] = run((release, version), have[version])
        except MakingError as error:
            results[release, version] = "cannot be made"
            screen.failed(str(error))
        screen.done()
        screen.result(results[release, version])
    print("\n".join(table(results, releases, list(have))))
    ran = [result for result in results.values() if not result.startswith("left out")]
    return 0 if ran and all(map(is_green, ran)) else 1


if __name__ == "__main__":
    sys.exit(main())
