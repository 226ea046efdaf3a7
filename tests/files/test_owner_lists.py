"""Lists of owners that come back: as they were written, and as a spreadsheet saves them."""

from __future__ import annotations

from pathlib import Path

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.links import Owner
from airflow_bitrix.core.plan import ChangeOutcome
from airflow_bitrix.files.journals import write_failed
from airflow_bitrix.files.owner_lists import read_owner_ids


def saved(folder: Path, content: bytes) -> Path:
    path = folder / "owners.csv"
    path.write_bytes(content)
    return path


def test_failed_csv_is_read_as_it_was_written(tmp_path: Path) -> None:
    outcomes = [
        ChangeOutcome(Owner("lead", 17), "failed", 'Access denied, "they" said\nand more; much more'),
        ChangeOutcome(Owner("lead", 5), "drift", "=1+1"),
        ChangeOutcome(Owner("lead", 6), "applied"),
    ]
    assert write_failed(tmp_path / "failed.csv", outcomes, "https://acme.bitrix24.com") == 2
    assert read_owner_ids(tmp_path / "failed.csv", "lead") == [17, 5]


@pytest.mark.parametrize(
    "content",
    [
        b"17\n5\n",
        b"17\r\n\r\n5\r\n17\r\n",
        b"\xef\xbb\xbf17\n5",
        b"owner_id\n17\n5\n",
        b"\xef\xbb\xbfowner;owner_id;reason\r\nlead;17;\xcf\xf0\xe8\xe2\xe5\xf2, 1\r\nlead;5;\r\n",
        b"sep=;\r\nowner;owner_id\r\nlead;17\r\nlead;5\r\n",
        "Owner_ID\towner\n17\tLead\n5\tlead\n".encode("utf-16"),
        b'reason,owner_id\n"two\nlines",17\n,"5"\n;,\n'.replace(b";,\n", b",\n"),
        b" 17 \n 5\n",
        b"17.0\n5,0\n",
        b"17;\r\n5;\r\n",
        b'owner_id,reason\n17,"Max ""M"",\n9\n"\n5,"x\r\n8,y"\n',
        "owner_id;reason\r\n17;Müller\r\n5;\r\n".encode("cp1252"),
    ],
)
def test_spreadsheets_may_save_it_as_they_like(content: bytes, tmp_path: Path) -> None:
    assert read_owner_ids(saved(tmp_path, content), "lead") == [17, 5]


def test_a_list_without_rows_names_nobody(tmp_path: Path) -> None:
    assert read_owner_ids(saved(tmp_path, b"owner,owner_id,outcome\r\n"), "deal") == []
    assert read_owner_ids(saved(tmp_path, b""), "deal") == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"owner_id\n17\nx5\n", r"line 3: it is no id"),
        (b"17\n0\n", r"line 2: '0' is no id"),
        (b"owner_id\n17\n$1$x\n0123456789abcdefg\n", r"line 3: it is no id; line 4: it is no id"),
        (b"owner,owner_id\nlead,17\n$1$x,5\n", r"line 3: not a lead"),
        (b"owner,owner_id\nlead,17\ndeal,5\n", r"line 3: a deal, not a lead"),
        (b'owner_id,reason\n17,"two\nlines"\n-5,\n', r"line 4: '-5' is no id"),
        (b"owner_id,reason\n,no id\n", r"line 2: '' is no id"),
        (b"17\n1,234\n", r"line 2: '1,234' is no id, its digits are in groups"),
        (b"owner_id\n1.234\n", r"line 2: '1.234' is no id, its digits are in groups"),
        (b"owner_id,owner\n1,234,lead\n", r"line 2: more cells than columns"),
        (b"owner_id\n" + b"x\n" * 9, r"line 2: .* line 6: it is no id and 4 more"),
    ],
)
def test_lines_that_name_no_owner_are_named_with_their_numbers(
    content: bytes, said: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidInput, match=said):
        read_owner_ids(saved(tmp_path, content), "lead")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (
            b"root:$6$salt$secret:20228:0:99999:7:::\ndaemon:secret\n",
            "line 1 is neither a heading with owner_id nor an id",
        ),
        (b"secret\n17\n", "line 1 is neither a heading with owner_id nor an id"),
        (b"\n#17\n", "line 2 is neither a heading with owner_id nor an id"),
        (b"lead,17\n", "line 1 is neither a heading with owner_id nor an id"),
        (b"user;password\nroot;secret\n", "line 1 is neither a heading with owner_id nor an id"),
        (b'{"auths": {"x": "secret"},\n "y": 1}\n', "line 1 is neither a heading with owner_id nor an id"),
        (b"owner_id,owner_id\n17,secret\n", "line 1 is neither a heading with owner_id nor an id"),
        (b"1,234\n", "line 1 is neither a heading with owner_id nor an id"),
        (b'17\n"' + b"secret" * 30_000 + b"\n", "the row at line 2 has quotes that are not closed, .*"),
        (b'owner_id\n17\n"secret\n5\n', "the row at line 3 has quotes that are not closed, .*"),
        (b'owner_id\n17\n"se"cret\n5\n', "the row at line 3 has quotes that are not closed, .*"),
        ("17\nsecret".encode("utf-16-le"), "it holds zero bytes, as UTF-16 without .*; save it as UTF-8"),
        (b"\xff\xfe1\x007\x00\n\x00\x00\xd8\x00", "it is cut short, or not in the encoding .*"),
        (b"PK\x03\x04\x14\x00secret", "it is an Excel workbook, or another zip file; save it as CSV"),
        (b"\xd0\xcf\x11\xe0\xa1secret", "it is a workbook of an older Excel; save it as CSV"),
        (b"17\n\x1b$B@sn\x1b(Bsecret\n", "it holds escape signs, as ISO-2022 does; save it as UTF-8"),
        (b"sep=x\n17\n", r"its line sep= names no comma, semicolon, tabulator or \|"),
    ],
)
def test_of_a_file_that_does_not_begin_like_a_list_nothing_is_shown(
    content: bytes, said: str, tmp_path: Path
) -> None:
    """A form can name any file that the worker may read, and its log be read by many."""
    path = saved(tmp_path, content)
    with pytest.raises(
        InvalidInput, match=rf"^owners_file: '[^']+' is not accepted, (its )?{said}; accepted: a CSV file"
    ) as raised:
        read_owner_ids(path, "lead")
    assert not [
        word
        for word in ("secret", "root", "password", "auths")
        if word in str(raised.value).replace(str(path), "")
    ]


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"^owners_file: .*it cannot be read"):
        read_owner_ids(tmp_path / "none.csv", "lead")
