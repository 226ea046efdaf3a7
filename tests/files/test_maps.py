"""Maps as people and spreadsheets write them, and parked owners."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.migrations import chained
from airflow_bitrix.files.maps import map_rows, read_map
from airflow_bitrix.files.parked_owners import Pairing, ParkedOwner, parked_file, read_parked, write_parked
from airflow_bitrix.files.plain_files import NoPlainFileError
from tests.growth import traced


def read(path: Path) -> list[tuple[int, int]]:
    return [(old, new) for _, old, new in read_map(path, "contact_map")]


@pytest.mark.parametrize(
    "content",
    [
        b"old,new\n5,6\n17,23\n",
        b"5,6\n17,23",
        b"OLD;New\r\n5;6\r\n17;23\r\n",
        b"\xef\xbb\xbfold;new\r\n5;6\r\n17;23\r\n",
        b"sep=;\r\nold;new\r\n5;6\r\n17;23\r\n",
        b"sep=\t\r\n5\t6\r\n17\t23\r\n",
        b"old\tnew\n5\t6\n17\t23\n",
        b"name,new,old\nAnn,6,5\nBob,23,17\n",
        b"new_id,old_id\n6,5\n23,17\n",
        b"New contact;Name;Old contact\r\n6;Ann;5\r\n23;Bob;17\r\n",
        b"old_contact_id,new_contact_id\n5,6\n17,23\n",
        b",,\n5,6\n17,23\n",
        b'"old","new"\n"5","6"\n\n" 17 ","23"\n,\n,,,\n',
        "old;new;Bemerkung\r\n5;6;M\xfcller\r\n17;23;\r\n".encode("cp1252"),
        "old\tnew\r\n5\t6\r\n17\t23\r\n".encode("utf-16"),
        "old;new;Имя\r\n5;6;Мария\r\n17;23;Ёлка\r\n".encode("cp1251"),
        "old\tnew\r\n5\t6\r\n17\t23\r\n".encode("utf-16-be").join((b"\xfe\xff", b"")),
        "5.0,6.00\n 17 ,\xa023\n".encode(),
        b"5,0;6,0\r\n17,00;23\r\n",
        b"5,6,,\n17,23,\n",
        b'"Old\ncontact";"New\ncontact";"said ""x"", y"\n5;6;\n17;23;\n',
        b'name,old,new\n"Max ""M"", 9;9\n7,8,9\n",5,6\nBob, "17",23\n',
        b'old,name,new\n5, "Max, 99, x", 6\n17,,23\n',
        b'"old, or one before";x;new\n'.replace(b"old, or one before", b"old contact") + b"5;;6\n17;;23\n",
        b'{"old": 5.0, "new": " 6 "}\n{"old": "17.0", "new": 23, "why": "merged"}\n',
        b'{"old": 5, "new": 6}\n{"old": "17", "new": 23, "why": "merged"}\n',
        b'[[5, 6], {"old": 17, "new": 23}]',
        b'\xef\xbb\xbf[\n  {"old": 5, "new": 6},\n  {"old": 17, "new": 23}\n]\n',
        b'\xef\xbb\xbf\r\n{"old": 5, "new": 6}\r\n\r\n{"old": 17, "new": 23}\r\n',
    ],
)
def test_a_map_reads_the_same_however_it_is_written(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.write_bytes(content)
    assert read(path) == [(5, 6), (17, 23)]


@pytest.mark.parametrize("content", [b"", b"\n\n", b"old,new\n", b"\xef\xbb\xbf", b"new;old\r\n;\r\n", b"[]"])
def test_a_file_without_rows_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "map").write_bytes(content)
    with pytest.raises(
        InvalidInput, match=r"^contact_map: '.*map' is not accepted, it has no rows; accepted: a file of rows"
    ):
        read(tmp_path / "map")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("old,new\n5,6\n7,x\n0,8\n9\n", "line 3: 7,(not shown); line 4: 0,8; line 5: 9,nothing"),
        ("old;new\n5,0;6\n1.5;2\n", "line 3: 1.5,2 (it has decimals)"),
        ("5;6\n1,234;2\n1.000;2\n",
         "line 2: 1,234,2 (its digits are in groups); line 3: 1.000,2 (its digits are in groups)"),
        ("5;6\n1E+05;2\n5;9999999999\n",
         "line 2: (not shown),2 (its digits were shortened); line 3: 5,9999999999 (larger than any id)"),
        ("5,6\n1,234,5\n", "line 2: 1,234 (more cells than columns)"),
        ("old,new\n5,6\n1,234,5,678\n", "line 3: 1,234 (more cells than columns)"),
        ('{"old": 5, "new": 6}\n{"old": 5, "old": 7, "new": 8}\n', "line 2: nothing,nothing"),
        ("old,new\n5,C-17 b\n5,0123456789abcdefg\n$1$x,6\n",
         "line 2: 5,(not shown); line 3: 5,(not shown); line 4: (not shown),6"),
        ('{"old": 5, "new": 6}\n{"old": 5}\n[1]\nnonsense\n{"old": true, "new": 3}\n',
         "line 2: 5,nothing; line 3: nothing,nothing; line 4: nothing,nothing; line 5: (not shown),3"),
        ("5,6\n" + "x,y\n" * 1000, "; line 6: (not shown),(not shown) and 995 more"),
        ('{"old": 5, "new": 6}\n{"old": {"a": "secret"}, "new": "x y"}', "line 2: (not shown),(not shown)"),
        ('[{"old": 5, "new": 6},\n[7], 8]\n', "row 2: nothing,nothing; row 3: nothing,nothing"),
        ('{"old": "a", "new": 6}\n', "line 1: (not shown),6"),
    ],
)  # fmt: skip
def test_every_bad_row_is_named_with_its_line_or_counted(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "map.csv").write_text(content)
    with pytest.raises(InvalidInput, match=rf"^contact_map: .*{re.escape(said)}' is not accepted") as raised:
        read(tmp_path / "map.csv")
    assert "CSV with two columns, or with columns named old and new, or JSON Lines" in str(raised.value)


@pytest.mark.parametrize(
    "content",
    [
        b"root:$6$salt$secret:20228:0:99999:7:::\ndaemon:secret:20228:0:99999:7:::\n",
        b"[default]\naws_secret_access_key = secret\n",
        b"secret\n",
        b"secret,6\n5,6\n",
        b"5,secret\n5,6\n",
        b'{"auths": {"x": "secret"}}\n',
        b'{\n  "old": "secret",\n  "new": 5\n}\n',
        b'{"old": "secret"}\n',
        b'[["secret", "secret"], [5, 6]]',
        b'[{"old": "secret"}]',
        b'["secret"]',
        b"[secret]\n5,6\n",
        b"[[5, 6]]\nsecret,6\n",
        b'5,"' + b"secret" * 30_000 + b"\n",
        # What was meant for a map, and is none.
        b"#1,#5\n2,6\n",
        b"C1;C5\n2;6\n",
        b"+1,+5\n2,6\n",
        b"1.5,5.0\n",
        b"1,2,5\n1,3,6\n",
        b"5;6;M\xfcller\n",
        b"alt;neu\n5;6\n",
        b"id,new id\n5,6\n",
        b"old,new,old id\n5,6,7\n",
        b"old stage,new stage\n5,6\n",
    ],
)
def test_of_a_file_that_does_not_begin_like_a_map_nothing_is_shown(content: bytes, tmp_path: Path) -> None:
    """A form can name any file that the worker may read, and its log be read by many."""
    path = tmp_path / "shadow"
    path.write_bytes(content)
    said = r"is not accepted, its (line|row) 1 is neither a row of ids nor a header; accepted: .* old and new"
    with pytest.raises(InvalidInput, match=f"^contact_map: '{re.escape(str(path))}' {said}") as raised:
        read(path)
    told = str(raised.value).replace(str(path), "")
    assert len(told) < 300
    assert not [word for word in ("secret", "root", "C1", "alt", "stage") if word in told]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x7fELF\x00\x01secret\x00\xff\n", "it holds zero bytes, as UTF-16 without a byte order mark does"),
        ("old;new\r\n5;6\r\n".encode("utf-16-le"), "it holds zero bytes, as UTF-16 without"),
        (
            b"PK\x03\x04\x14\x00secret",
            "it is an Excel workbook, or another zip file; save it as CSV; accepted: ",
        ),
        (b"\xff\xfe[\x00[\x005", "it is cut short, or not in the encoding that its first bytes tell"),
        (b'old,new\n5,6\n"secret,7\n8,9\n', "the row at line 3 has quotes that are not closed"),
        (b'old,new\n5,6\n"5"secret,7\n', "the row at line 3 has quotes that are not closed, more behind"),
        (b"sep=x\noldxnew\n5x6\n", "its line sep= names no comma, semicolon, tabulator or |"),
    ],
)
def test_a_file_that_is_no_table_is_refused_with_what_is_wrong(
    content: bytes, said: str, tmp_path: Path
) -> None:
    """Nothing of it is a map: a quote that is not closed holds all rows behind it."""
    (tmp_path / "map").write_bytes(content)
    with pytest.raises(InvalidInput, match=re.escape(said)) as raised:
        read(tmp_path / "map")
    assert "secret" not in str(raised.value)


@pytest.mark.slow
def test_a_row_without_an_end_is_not_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.write_bytes(b"5,6\n" + b"7" * 40_000_000)
    with traced() as memory:
        with pytest.raises(InvalidInput, match="the row at line 2 has more than 16,000,000 signs"):
            read(path)
        _, most = memory()
    assert most < 100_000_000


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.csv"
    with pytest.raises(InvalidInput, match=f"owner_map: '{re.escape(str(path))}'.*a file that is there"):
        list(read_map(path, "owner_map"))


@pytest.mark.parametrize(
    "given",
    [
        {5: 6, 17: 23},
        {"5": 6, "17": "23"},
        [[5, 6], (17, 23)],
        [{"old": 5, "new": 6}, {"new": 23, "old": 17}],
    ],
)
def test_what_a_task_gave_reads_the_same_in_all_its_forms(given: Any) -> None:
    assert [row[1:] for row in map_rows(given, "contact_map")] == [(5, 6), (17, 23)]


def test_a_bad_row_of_what_a_task_gave_is_named_by_its_number() -> None:
    with pytest.raises(InvalidInput, match="contact_map: 'row 2: 7,nothing; row 3: nothing,nothing'"):
        list(map_rows([[5, 6], {"old": 7}, "8,9"], "contact_map"))
    with pytest.raises(InvalidInput, match=r'contact_map: "entry \'x\': \(not shown\),6"'):
        list(map_rows({"x": 6}, "contact_map"))


@pytest.mark.slow
def test_many_rows_take_no_more_memory_than_their_map(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    with path.open("w") as file:
        file.write("old;new\r\n")
        file.writelines(f"{one};{one + 5_000_000}\r\n" for one in range(1, 50_001))
    with traced() as memory:
        found = chained(read_map(path, "contact_map"), "contact_map")
        _, most = memory()
    assert len(found) == 50_000
    assert most < 10_000_000


def parked(owner: int, **fields: str) -> ParkedOwner:
    about = {"why": "owner not there yet", "reason": "none", "since": "2026-11-21T00:00:00+00:00"}
    return ParkedOwner(owner, **{**about, **fields})


PAIRING = Pairing("deal", "https://old.bitrix24.com", "https://new.bitrix24.com", "origin", "old-crm")


def test_parked_owners_come_back_as_they_were_put_away(tmp_path: Path) -> None:
    path = parked_file(tmp_path / "stable", PAIRING)
    assert re.fullmatch(r"parked-deal\.old\.bitrix24\.com\.new\.bitrix24\.com\.[0-9a-f]{8}\.jsonl", path.name)
    assert read_parked(path, PAIRING) == {}
    write_parked(path, PAIRING, [parked(9, reason="Zoë"), parked(5)])
    assert read_parked(path, PAIRING) == {5: parked(5), 9: parked(9, reason="Zoë")}
    write_parked(path, PAIRING, [parked(7)])
    assert read_parked(path, PAIRING) == {7: parked(7)}
    assert [one.name for one in path.parent.iterdir()] == [path.name]
    first = path.read_text().splitlines()[0]
    assert '"source":"https://old.bitrix24.com","target":"https://new.bitrix24.com"' in first


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("kind", "lead"),
        ("source", "https://older.bitrix24.com"),
        ("target", "https://newer.bitrix24.com"),
        ("match", "field"),
        ("originator", "older-crm"),
        ("match_field", "ufCrmOldId"),
    ],
)
def test_each_pairing_has_a_file_of_its_own(name: str, value: Any, tmp_path: Path) -> None:
    other = replace(PAIRING, **{name: value})
    path = parked_file(tmp_path, PAIRING)
    assert parked_file(tmp_path, other) != path
    write_parked(path, PAIRING, [parked(5)])
    with pytest.raises(PlanRefused, match=r"parked-deal.* does not belong to"):
        read_parked(path, other)


def test_a_write_that_fails_leaves_the_parked_owners_that_there_were(tmp_path: Path) -> None:
    path = tmp_path / "parked-deal.jsonl"
    write_parked(path, PAIRING, [parked(5)])
    (tmp_path / "parked-deal.jsonl.new").mkdir()
    with pytest.raises(NoPlainFileError):
        write_parked(path, PAIRING, [parked(7)])
    assert read_parked(path, PAIRING) == {5: parked(5)}


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"owner": 5}', '{"owner": "x", "why": "", "reason": "", "since": ""}']
)
def test_a_damaged_file_of_parked_owners_is_refused_by_its_line(line: str, tmp_path: Path) -> None:
    path = tmp_path / "parked-deal.jsonl"
    write_parked(path, PAIRING, [parked(5)])
    whole = path.read_text()
    path.write_text(whole + line + "\n")
    with pytest.raises(PlanRefused, match=r"line 3 of .*parked-deal\.jsonl is damaged"):
        read_parked(path, PAIRING)
    for first in (line + "\n", ""):
        path.write_text(first + whole.split("\n", 1)[1])
        with pytest.raises(PlanRefused, match=r"line 1 of .*parked-deal\.jsonl is damaged|does not belong"):
            read_parked(path, PAIRING)
    path.write_text("")
    with pytest.raises(PlanRefused, match=r"line 1 of .* is damaged"):
        read_parked(path, PAIRING)
