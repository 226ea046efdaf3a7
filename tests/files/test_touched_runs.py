"""Files of a run that somebody edited, replaced, damaged or locked away."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.files import part_name
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.journals import JournalPart, read_effort, write_failed
from airflow_bitrix.files.outcome_index import read_index
from airflow_bitrix.files.plans import read_manifest
from airflow_bitrix.report.indexed import search_for
from tests.plugins.runs import (
    PORTAL,
    as_another_user,
    change,
    for_everybody,
    make_plan,
    note,
    outcome,
    sealed,
)

LATER = "applied, and changed since: contacts are now 5*"
HEAD = "owner,owner_id,outcome,reason,address\r\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A plan of three changes, two of them applied."""
    note(
        tmp_path, make_plan(tmp_path, [change(number) for number in (1, 2, 3)]), {0: [outcome(1), outcome(2)]}
    )
    return tmp_path


def counts(folder: Path) -> dict[str, int]:
    return {name: number for name, number in read_index(folder).counts.items() if number}


# -- failed.csv --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        HEAD.replace(",", ";").encode() + f"lead;2;drift;{LATER};x\r\n".encode(),
        HEAD.encode() + 'lead,2,drift,"applied, and изменён",x\r\n'.encode("cp1251"),
        HEAD.encode() + b'lead,two,drift,"applied, and x",x\r\n',
        HEAD.encode() + b'lead,2,drift,"applied, and ' + b"x" * 200_000 + b'",x\r\n',
        HEAD.encode() + b"lead,2,drift",
        HEAD.encode() + b"".join(b'lead,%d,drift,"applied, and x",x\r\n' % one for one in range(1, 9)),
        b"",
    ],
    ids=["semicolons", "cp1251", "no number", "huge", "half a row", "too many", "empty"],
)
def test_a_failed_csv_that_cannot_be_read_says_nothing(folder: Path, content: bytes) -> None:
    (folder / "failed.csv").write_bytes(content)
    assert counts(folder) == {"applied": 2, "open": 1}


def test_a_failed_csv_that_a_spreadsheet_saved_with_a_mark_is_read(folder: Path) -> None:
    (folder / "failed.csv").write_text(f'{HEAD}lead,2,drift,"{LATER}",x\r\n', encoding="utf-8-sig")
    assert counts(folder) == {"applied": 1, "drift": 1, "open": 1}


def test_a_failed_csv_is_read_once(folder: Path) -> None:
    """What it told is kept as long as nobody writes it."""
    write_failed(folder / "failed.csv", [outcome(2, "drift", LATER)], PORTAL)
    first = read_index(folder)
    assert read_index(folder, first).since is first.since
    write_failed(folder / "failed.csv", [outcome(1, "drift", LATER)], PORTAL)
    assert read_index(folder, first).since == {1: LATER}


# -- the journal -------------------------------------------------------------------------------------------

GOOD = {"owner": 3, "outcome": "failed", "reason": "", "before": None}


def a_line(without: str = "", **other: Any) -> bytes:
    return json.dumps({name: value for name, value in {**GOOD, **other}.items() if name != without}).encode()


def add_line(folder: Path, line: bytes) -> None:
    with (folder / "journal" / part_name(0)).open("ab") as file:
        file.write(line.replace(b": ", b":").replace(b", ", b",") + b"\n")


JOURNAL_LINES = {
    "no utf-8": a_line().replace(b'"reason": ""', b'"reason": "\xff\xfe"'),
    "unknown outcome": a_line(outcome="weird"),
    "no reason": a_line("reason"),
    "no before": a_line("before"),
    "owner is a text": a_line(owner="3"),
    "before is none": a_line(before=[5]),
    "nested": b'{"owner":' + b"[" * 100_000,
    "begun without a plan": b'{"journal": 2}',
    "begun by a number": b'{"journal": 2, "plan": 5, "dry_run": false}',
}


@pytest.mark.parametrize("name", JOURNAL_LINES)
def test_a_damaged_line_of_a_journal_is_a_refusal_that_names_the_file(folder: Path, name: str) -> None:
    add_line(folder, JOURNAL_LINES[name])
    with pytest.raises(PlanRefused) as refused:
        list(read_index(folder).read(range(3)))
    assert str(refused.value) == "journal/part-00000.jsonl is damaged, or was replaced meanwhile"


def test_a_search_through_a_damaged_line_is_refused_too(folder: Path) -> None:
    add_line(folder, JOURNAL_LINES["before is none"])
    search = search_for("7")
    with pytest.raises(PlanRefused, match=r"^journal/part-00000\.jsonl is damaged"):
        read_index(folder).rows(matches=search.matches)


def test_a_journal_that_was_replaced_after_the_look_is_refused(folder: Path) -> None:
    """Even where each line stands where the other's stood."""
    index = read_index(folder)
    path = folder / "journal" / part_name(0)
    path.write_bytes(path.read_bytes().replace(b'{"owner":1,', b'{"owner":3,'))
    with pytest.raises(PlanRefused, match=r"^journal/part-00000\.jsonl is damaged"):
        list(index.read([0]))
    path.unlink()
    with pytest.raises(PlanRefused, match=r"^journal/part-00000\.jsonl is gone"):
        list(index.read([0]))


def test_a_journal_that_is_no_file_is_refused(folder: Path) -> None:
    path = folder / "journal" / part_name(0)
    path.unlink()
    path.mkdir()
    with pytest.raises(PlanRefused, match=r"^journal/part-00000\.jsonl is no plain file$"):
        read_index(folder)


# -- what an apply cost ------------------------------------------------------------------------------------


def test_an_effort_of_a_newer_version_tells_what_is_known_here(tmp_path: Path) -> None:
    path = tmp_path / part_name(0)
    with JournalPart(path, plan_hash="f" * 64, dry_run=False) as journal:
        journal.note_effort(ApplyCost(requests=5))
    with path.open("a") as file:
        file.write('{"effort":{"requests":2,"bytes":7}}\n')
    assert read_effort(tmp_path) == ApplyCost(requests=7)


@pytest.mark.parametrize(
    "line",
    [
        '{"effort":{"requests":1',
        '{"effort":5}',
        '{"effort":{"requests":"5"}}',
        '{"journal":2}',
        '{"effort":[]}x',
    ],
)
def test_a_damaged_effort_is_refused_by_the_file_s_name(tmp_path: Path, line: str) -> None:
    (tmp_path / "journal").mkdir()
    (tmp_path / "journal" / part_name(0)).write_text(f"{line}\n")
    with pytest.raises(PlanRefused, match=r"^journal/part-00000\.jsonl is damaged"):
        read_effort(tmp_path / "journal")


# -- the plan ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("first", [True, False])
def test_an_edited_plan_is_refused_whether_it_was_looked_at_or_not(folder: Path, *, first: bool) -> None:
    """Also one whose size and time are as they were."""
    earlier = read_index(folder) if first else None
    path = folder / "plan" / part_name(0)
    about = path.stat()
    path.write_text(path.read_text().replace("[7,", "[8,", 1))
    os.utime(path, ns=(about.st_atime_ns, about.st_mtime_ns))
    with pytest.raises(
        PlanRefused, match=r"^part-00000\.jsonl of the plan does not match its hash: it was edited$"
    ):
        read_index(folder, earlier)
    if earlier:
        with pytest.raises(PlanRefused, match="does not match its hash"):
            list(earlier.read([2]))


@pytest.mark.parametrize("line", ["[1]", "{}", '{"owner":"x"}', "null"])
def test_a_plan_s_line_that_is_no_change_is_refused_whatever_its_hash(folder: Path, line: str) -> None:
    path = folder / "plan" / part_name(0)
    path.write_text(f"{line}\n" * 3)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    sealed(folder, parts=[{"name": part_name(0), "changes": 3, "sha256": digest}])
    with pytest.raises(PlanRefused, match=r"^plan/part-00000\.jsonl is damaged"):
        read_index(folder)


def test_a_plan_that_holds_less_than_it_says_is_refused(folder: Path) -> None:
    (part,) = read_manifest(folder / "plan").parts
    sealed(folder, parts=[{**part, "changes": 4}])
    with pytest.raises(PlanRefused, match=r"^plan/part-00000\.jsonl is damaged"):
        read_index(folder)


@pytest.mark.parametrize("name", ["../journal/part-00000.jsonl", "/dev/zero", "part-00001.jsonl"])
def test_a_plan_whose_parts_lie_elsewhere_is_refused_unread(folder: Path, name: object) -> None:
    (part,) = read_manifest(folder / "plan").parts
    sealed(folder, parts=[{**part, "name": name}])
    with pytest.raises(PlanRefused, match=r"^the manifest of the plan does not match its hash"):
        read_index(folder)


def test_a_part_that_is_missing_is_named(folder: Path) -> None:
    (folder / "plan" / part_name(0)).unlink()
    with pytest.raises(PlanRefused, match=r"^part-00000\.jsonl of the plan is missing$"):
        read_index(folder)


def test_a_plan_that_is_replaced_while_it_is_read_is_refused(folder: Path) -> None:
    """The next look shows the new one."""
    index = read_index(folder)
    make_plan(folder, [change(4), change(5)])
    with pytest.raises(PlanRefused, match=r"^part-00000\.jsonl of the plan does not match its hash"):
        list(index.read(range(3)))
    assert [found.owner.id for found, _ in read_index(folder, index).read(range(2))] == [4, 5]


def test_where_there_is_no_plan_no_path_is_told(tmp_path: Path) -> None:
    with pytest.raises(PlanRefused, match=r"^there is no plan$"):
        read_index(tmp_path)


# -- what may not be read ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("locked", "told"),
    [
        ("plan", "plan/manifest.json cannot be read: Permission denied"),
        ("plan/manifest.json", "plan/manifest.json cannot be read: Permission denied"),
        ("plan/part-00000.jsonl", "plan/part-00000.jsonl cannot be read: Permission denied"),
        ("journal", "journal/part-00000.jsonl cannot be read: Permission denied"),
        ("journal/part-00000.jsonl", "journal/part-00000.jsonl cannot be read: Permission denied"),
        ("failed.csv", ""),
    ],
)
def test_what_may_not_be_read_is_named(locked: str, told: str) -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        note(folder, make_plan(folder, [change(1)]), {0: [outcome(1)]})
        write_failed(folder / "failed.csv", [outcome(1, "drift", LATER)], PORTAL)
        for_everybody(folder)
        expected = pytest.raises(PlanRefused) if told else nullcontext()
        with as_another_user(folder / locked), expected as refused:
            read_index(folder)
        assert str(refused.value if refused else "") == told
