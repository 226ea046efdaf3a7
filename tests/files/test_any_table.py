"""Maps and lists of owners in every form: the ids that were meant, or one error that says what is wrong."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.numbers import LARGEST
from airflow_bitrix.files.id_cells import NoIdError, id_in_cell
from airflow_bitrix.files.maps import map_rows, read_map
from airflow_bitrix.files.owner_lists import read_owner_ids

T = TypeVar("T")

IDS = st.integers(1, LARGEST)
MARKS = st.sampled_from(",;\t")
WRITTEN = st.sampled_from(["{}", " {} ", "{}.0", "{}.00", "0{}"])
ENCODINGS = st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "cp1251", "cp1252"])

Quoting = Literal[0, 1]
MINIMAL: Quoting = csv.QUOTE_MINIMAL
ALL: Quoting = csv.QUOTE_ALL
ENDS = st.sampled_from([("\n", MINIMAL), ("\r\n", MINIMAL), ("\r\n", ALL), ("\r", ALL)])


def pieces(most: int, *signs: str) -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(signs), max_size=most).map("".join)


REMARKS = pieces(9, '"', ",", ";", "\t", "\n", "\r\n", " ", "1", "2", "x", "é", "Я")
NOISE = pieces(20, *'0123,;\t"\n\r. =|{}[]:', "old", "new", "owner_id", "sep=", "é")


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("any") / "given"


def ids_of(path: Path) -> list[tuple[int, int]]:
    return [row[1:] for row in read_map(path, "contact_map")]


def owners_of(path: Path) -> list[int]:
    return read_owner_ids(path, "lead")


def or_refusal(read: Callable[[Path], list[T]], path: Path) -> list[T]:
    """Give what is read; nothing where one error says of which argument, and what is accepted."""
    said = ""
    try:
        return read(path)
    except InvalidInput as error:
        said = str(error)
    assert re.fullmatch(
        r"(contact_map|owners_file): .+ is not accepted(, .+)?; accepted: .+", said, re.DOTALL
    )
    return []


@pytest.mark.drawn
@given(
    rows=st.lists(st.tuples(IDS, REMARKS, IDS, WRITTEN), min_size=1, max_size=4),
    columns=st.permutations(["old", "remark", "new"]),
    form=st.tuples(MARKS, ENCODINGS, ENDS),
)
def test_a_table_is_read_as_its_writer_meant_it(
    rows: list[tuple[int, str, int, str]],
    columns: list[str],
    form: tuple[str, str, tuple[str, Quoting]],
    path: Path,
) -> None:
    """Whatever stands in a cell beside the ids: line breaks, quotes, marks, ids."""
    mark, encoding, (end, quoting) = form
    text = io.StringIO(newline="")
    table = csv.writer(text, delimiter=mark, lineterminator=end, quoting=quoting)
    table.writerow(columns)
    for old, remark, new, written in rows:
        cells = {"old": written.format(old), "new": written.format(new), "remark": remark}
        table.writerow([cells[name] for name in columns])
    path.write_bytes(text.getvalue().encode(encoding, errors="replace"))
    assert ids_of(path) == [(old, new) for old, _, new, _ in rows]
    listed = path.read_bytes().decode(encoding).replace("old", "owner_id", 1)
    path.write_bytes(listed.encode(encoding))
    assert owners_of(path) == list(dict.fromkeys(old for old, *_ in rows))


def readings(text: str) -> list[list[list[str]]]:
    """Give the rows of a whole table, by each mark with which it is one."""
    found = []
    for mark in ",;\t|\x1f":
        table = csv.reader(io.StringIO(text, newline=""), delimiter=mark, skipinitialspace=True, strict=True)
        try:
            found.append(
                [row for row in ([cell.strip() for cell in cells] for cells in table) if holds_any(row)]
            )
        except csv.Error:
            continue
    return found


def holds_any(row: list[str]) -> bool:
    """Whether there is more in a row than what parts cells."""
    return any(cell.strip(",;|") for cell in row)


def whole(cell: str) -> int:
    return int(cell.replace(",", ".").split(".")[0])


@pytest.mark.drawn
@given(content=NOISE.map(str.encode) | st.binary(max_size=20))
@example(content=b",;\n1")
def test_what_is_read_of_anything_stands_there_in_so_many_rows(content: bytes, path: Path) -> None:
    path.write_bytes(content)
    pairs, owners = or_refusal(ids_of, path), or_refusal(owners_of, path)
    text = content.decode("utf-8-sig", errors="replace")
    if pairs and not text.lstrip("\r\n\t ,;|").startswith(("{", "[")):
        assert any(fits(pairs, table, ("old", "new")) for table in readings(text))
    if owners:
        assert any(fits([(one,) for one in owners], table, ("owner_id",)) for table in readings(text))


def fits(found: Sequence[tuple[int, ...]], table: list[list[str]], names: tuple[str, ...]) -> bool:
    """Whether these ids are what a table holds, each once, in columns of these names or in the first ones."""
    rows = [row for row in table if not row[0].lower().strip('"').startswith("sep=")]
    heads = [cell.lower() for cell in rows[0]]
    if set(names) <= set(heads):
        rows, places = rows[1:], [heads.index(name) for name in names]
    else:
        places = list(range(len(names)))
    if any(len(row) <= max(places) for row in rows):
        return False
    try:
        ids = [tuple(whole(row[at]) for at in places) for row in rows]
    except ValueError:
        return False
    return list(dict.fromkeys(ids)) == list(dict.fromkeys(found))


@pytest.mark.drawn
@given(
    st.text(st.sampled_from("0127.,' eE+-\xa0\u0661"), max_size=8)
    | st.floats()
    | st.integers()
    | st.booleans()
)
def test_a_cell_is_the_id_that_it_shows_or_none(cell: object) -> None:
    said, number = "", 0
    try:
        number = id_in_cell(cell)
    except NoIdError as error:
        said = str(error)
    if number:
        shown = f"{cell:.0f}" if isinstance(cell, float) else str(cell).strip()
        assert 0 < number <= LARGEST
        assert re.fullmatch(rf"0*{number}([.,]00?)?", shown)
        assert not isinstance(cell, bool)
    else:
        assert re.fullmatch(
            "|it has decimals|larger than any id|its digits (are in groups|were shortened)", said
        )


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-1, 9)
    | st.floats(-1, 9)
    | st.sampled_from(["5", "6.0", "x", ""]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["old", "new", "5"]), inner),
    max_leaves=8,
)


@pytest.mark.drawn
@given(
    st.lists(JSON, max_size=3) | st.dictionaries(st.sampled_from(["5", "6.0", "x"]) | st.integers(1, 9), JSON)
)
def test_what_a_task_gives_is_a_pair_a_row_or_refused(given_map: Any) -> None:
    said, rows = "", []
    try:
        rows = [row[1:] for row in map_rows(given_map, "owner_map")]
    except InvalidInput as error:
        said = str(error)
    if said:
        assert re.match(
            r"owner_map: .*(entry|row) .* is not accepted; accepted: rows of an old and a new id", said
        )
        return
    assert len(rows) == len(given_map)
    told = given_map.items() if isinstance(given_map, dict) else given_map
    for (old, new), one in zip(rows, told, strict=True):
        cells = (one["old"], one["new"]) if isinstance(one, dict) else one
        assert (old, new) == tuple(int(float(cell)) for cell in cells)
