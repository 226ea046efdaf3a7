"""The package and constraints.txt beside what its users have."""

from __future__ import annotations

import sys
from pathlib import Path

from packaging.requirements import Requirement

from scripts.environments import MADE, ROOT, frozen, make, read_pins


def test_it_fits_beside_what_its_users_have(wheel: Path) -> None:
    """At the versions of constraints.txt, and with nothing of theirs that is older than these."""
    users, held = Path(__file__).parent / "users.txt", ROOT / "constraints.txt"
    wanted = [str(wheel), "--requirement", str(users)]
    found = frozen(make(MADE / "users", python=sys.executable, install=wanted, constraints=[held]))
    assert {name: found[name] for name, pin in read_pins(held).items() if found.get(name, pin) != pin} == {}
    assert {Requirement(line).name for line in users.read_text().splitlines()[1:]} <= found.keys()
