"""Files that a form names are any that the worker can read: plain ones are read, and nothing is shown."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.files.maps import read_map
from airflow_bitrix.files.named_files import shown
from airflow_bitrix.files.owner_lists import read_owner_ids
from airflow_bitrix.files.tables import MOST_BYTES, MOST_SIGNS
from tests.files.flat import flat_path
from tests.files.obstacles import NO_PLAIN, huge, soon

pytestmark = pytest.mark.attack

READERS: dict[str, Callable[[Path], object]] = {
    "contact_map": lambda path: list(read_map(path, "contact_map")),
    "owners_file": lambda path: read_owner_ids(path, "lead"),
}


def refusal(argument: str, path: Path) -> str:
    with soon(), pytest.raises(InvalidInput) as refused:
        READERS[argument](path)
    return str(refused.value)


@pytest.mark.parametrize("make", NO_PLAIN, ids=lambda make: make.__name__)
@pytest.mark.parametrize("argument", READERS)
def test_what_is_no_plain_file_is_refused_at_once(
    tmp_path: Path, argument: str, make: Callable[[Path], None]
) -> None:
    make(tmp_path / "it")
    path = str(tmp_path / "it")
    assert refusal(argument, tmp_path / "it").startswith(
        f"{argument}: {path!r} is not accepted, it is no plain file; accepted: a "
    )


@pytest.mark.parametrize("argument", READERS)
def test_20_gigabytes_without_a_line_break_are_refused_at_once(tmp_path: Path, argument: str) -> None:
    huge(tmp_path / "it")
    assert f"is not accepted, it has more than {MOST_BYTES:,} bytes, and is not read" in refusal(
        argument, tmp_path / "it"
    )


@pytest.mark.parametrize("argument", READERS)
@pytest.mark.parametrize("begins", ["5,6\n", "owner_id\n5\n", '{"old": 5, "new": 6}\n', "[[5, 6]", ""])
def test_a_row_without_an_end_is_refused(tmp_path: Path, argument: str, begins: str) -> None:
    (tmp_path / "it").write_text(begins + "7" * (MOST_SIGNS + 10))
    assert len(refusal(argument, tmp_path / "it")) < 1000


@pytest.mark.parametrize(
    ("argument", "begins"),
    [
        ("contact_map", "5,6"),
        ("contact_map", "old,new\n5,6"),
        ("owners_file", "5"),
        ("owners_file", "owner_id,owner\n5"),
    ],
)
def test_a_row_of_more_cells_than_any_spreadsheet_has_is_refused(
    tmp_path: Path, argument: str, begins: str
) -> None:
    """Each of a million empty cells takes one byte of the file, and sixty of the memory."""
    (tmp_path / "it").write_text(begins + "," * 200_000 + "\n")
    assert len(refusal(argument, tmp_path / "it")) < 1000


@pytest.mark.parametrize("argument", READERS)
def test_a_file_on_an_object_storage_is_bounded_too(argument: str) -> None:
    path = flat_path("map.csv")
    path.write_bytes(b"\0" * (MOST_BYTES + 1))
    assert f"has more than {MOST_BYTES:,} bytes" in refusal(argument, path)
    path.unlink()


STARTS = {
    "contact_map": ["5,6\n", "old,new\n", "1;2\n", '{"old": 5, "new": 6}\n', "new id\told id\n"],
    "owners_file": ["5\n", "owner_id,owner\n5,lead\n", "reason;owner_id\n", "owner_id\n"],
}


@pytest.mark.drawn
@pytest.mark.parametrize("argument", READERS)
@given(data=st.data())
def test_whatever_follows_a_first_row_like_ids_is_not_shown(
    tmp_path_factory: pytest.TempPathFactory, argument: str, data: st.DataObject
) -> None:
    path = tmp_path_factory.getbasetemp() / "named"
    lines = data.draw(st.lists(st.text("QXZ$%@,;37", min_size=1, max_size=40), min_size=1, max_size=8))
    path.write_text(data.draw(st.sampled_from(STARTS[argument])) + "\n".join(lines) + "\nQ\n")
    told = refusal(argument, path).replace(str(path), "")
    assert not re.search("[QXZ$%@]|[37]{11}", told)


PASSWD = "root:x:0:0:root:/root:/bin/bash\n"


@pytest.mark.parametrize("argument", READERS)
@pytest.mark.parametrize(
    "content",
    [
        PASSWD,
        f"5,6\n{PASSWD}",
        f"5\n{PASSWD}",
        f"owner_id\n{PASSWD}",
        "old,new\nhunter2,swordfish\n",
        "owner_id\nhunter2\nswordfish\n",
        '{"old": 1, "new": 2}\n{"old": "hunter2", "new": "root"}\n',
    ],
)
def test_no_word_of_a_file_is_shown(tmp_path: Path, argument: str, content: str) -> None:
    (tmp_path / "it").write_text(content)
    told = refusal(argument, tmp_path / "it")
    assert not re.search("root|bash|hunter2|swordfish", told.replace(str(tmp_path), ""))


@pytest.mark.parametrize(
    ("cell", "is_shown"),
    [
        ("5", True),
        ("-5", True),
        ("1234567890", True),
        ("1,234", True),
        ("17.5", True),
        (0, True),
        ("12345678901", False),
        ("10.0.0.1", False),
        ("a", False),
        ("x5", False),
        ("1e5", False),
        ("5 6", False),
        ("\uff15", False),
        (True, False),
        (None, False),
    ],
)
def test_a_cell_is_shown_where_it_looks_like_an_id(cell: object, *, is_shown: bool) -> None:
    assert shown(cell) == (str(cell) if is_shown else "nothing" if cell is None else "(not shown)")
