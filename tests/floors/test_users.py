"""The package and constraints.txt beside what its users have."""

from __future__ import annotations

import sys
import tomllib
from pathlib import Path

from packaging.requirements import Requirement

from scripts.environments import MADE, ROOT, frozen, make, read_pins


def test_it_fits_beside_what_its_users_have(wheel: Path) -> None:
    """With all extras, at the versions of constraints.txt, and none of theirs is older than these."""
    users, held = Path(__file__).parent / "users.txt", ROOT / "constraints.txt"
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = ",".join(sorted({*project["optional-dependencies"]} - {"dev"}))
    wanted = [f"airflow-bitrix[{extras}] @ {wheel.as_uri()}", "--requirement", str(users)]
    found = frozen(make(MADE / "users", python=sys.executable, install=wanted, constraints=[held]))
    assert {name: found[name] for name, pin in read_pins(held).items() if found.get(name, pin) != pin} == {}
    assert {Requirement(line).name for line in users.read_text().splitlines()[1:]} <= found.keys()
