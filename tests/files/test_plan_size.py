"""A plan of a million changes takes little memory: to make, to hash, and to read back."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

MAKE_AND_READ = """
import json, resource, sys
from pathlib import Path
from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.plan import Change
from airflow_bitrix.files.plans import PlanWriter, check_parts, read_changes, read_manifest

folder, count = Path(sys.argv[1]), int(sys.argv[2])

def change(number):
    owner = Owner("lead", number)
    before = LinkSet(owner, (ContactLink(number, 10, True, 0), ContactLink(number + 1, 20, False, 0)))
    return Change(before, LinkSet(owner, before.links[:1]), ("rule: why",), ("rule",))

with PlanWriter(folder) as plan:
    for number in range(1, count + 1):
        plan.add(change(number))
    about = {"kind": "lead", "portal": "https://acme.bitrix24.com", "created": "", "rules": ("rule",)}
    made = plan.finish(read=count, guards=Guards(), **about)
found = read_manifest(folder)
assert found.hash == made.hash
check_parts(folder, found)
number = 0
for part in range(len(found.parts)):
    for number, one in enumerate(read_changes(folder, found, part), start=number + 1):
        assert one == change(number)
print(json.dumps([number, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""


@pytest.fixture
def peak(tmp_path: Path) -> dict[int, float]:
    """Peak memory in MB by number of changes."""
    found = {}
    for count in (10_000, 100_000):
        command = [sys.executable, "-c", MAKE_AND_READ, str(tmp_path / str(count)), str(count)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        number, megabytes = json.loads(done.stdout)
        assert number == count
        found[count] = megabytes
    return found


@pytest.mark.slow
def test_memory_grows_by_less_than_150_bytes_a_change(peak: dict[int, float]) -> None:
    """The process itself takes about 20 MB, so a million changes stay below 200 MB by far."""
    assert peak[100_000] - peak[10_000] < 90_000 * 150 / 1024**2
