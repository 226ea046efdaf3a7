"""Opening files that a person named, or put there: at once, plain ones alone, no more than is bearable."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.files.own_files import open_new, write_new
from airflow_bitrix.files.plain_files import (
    LONGEST_LINE,
    NoPlainFileError,
    open_plain,
    open_text,
    plain_lines,
    read_plain,
)
from airflow_bitrix.hooks import failures
from tests.files.flat import flat_path
from tests.files.obstacles import NO_PLAIN, huge, pipe, soon

pytestmark = pytest.mark.attack

READERS: dict[str, Callable[[Path], object]] = {
    "bytes": read_plain,
    "text": lambda path: open_text(path).close(),
    "lines": lambda path: list(plain_lines(path)),
    "to be locked": lambda path: open_plain(path, most=None).close(),
}


@pytest.mark.parametrize("make", NO_PLAIN, ids=lambda make: make.__name__)
@pytest.mark.parametrize("read", READERS.values(), ids=READERS)
def test_what_is_no_plain_file_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], read: Callable[[Path], object]
) -> None:
    make(tmp_path / "it")
    with soon(), pytest.raises(NoPlainFileError) as refused:
        read(tmp_path / "it")
    assert str(refused.value) == f"{tmp_path / 'it'} is no plain file"


@pytest.mark.parametrize("read", [read_plain, open_text], ids=lambda read: read.__name__)
def test_what_is_too_large_is_refused_before_it_is_read(
    tmp_path: Path, read: Callable[[Path], object]
) -> None:
    huge(tmp_path / "it")
    with (
        soon(),
        pytest.raises(NoPlainFileError, match="has more than 268,435,456 bytes, and is not"),
    ):
        read(tmp_path / "it")


def test_of_a_file_of_any_size_no_line_has_any_length(tmp_path: Path) -> None:
    huge(tmp_path / "it")
    with soon(), pytest.raises(NoPlainFileError, match=f"a line of more than {LONGEST_LINE:,} bytes"):
        list(plain_lines(tmp_path / "it"))


def test_a_file_that_grows_while_it_is_read_ends_where_it_is_too_large(tmp_path: Path) -> None:
    path = tmp_path / "it"
    path.write_bytes(b"x" * 90_000)
    with open_plain(path, 100_000) as file:
        assert file.read(10) == b"x" * 10
        with path.open("ab") as more:
            more.write(b"x" * 90_000)
        with pytest.raises(NoPlainFileError, match="more than 100,000 bytes"):
            file.read()


def test_a_file_of_the_kernel_that_tells_no_size_is_read_to_its_bound() -> None:
    path = Path("/proc/self/maps")
    assert path.stat().st_size == 0
    assert b"python" in read_plain(path)
    with open_plain(path, 100) as file, pytest.raises(NoPlainFileError, match="more than 100 bytes"):
        file.read()


def test_a_link_to_a_file_is_followed_unless_it_must_not_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert read_plain(tmp_path / "link") == b"content"
    with pytest.raises(NoPlainFileError):
        open_plain(tmp_path / "link", follow=False)
    (tmp_path / "file").unlink()
    with pytest.raises(FileNotFoundError):
        read_plain(tmp_path / "link")


def test_an_object_storage_is_read_to_the_same_bounds() -> None:
    path = flat_path("bounded")
    path.write_bytes(b"x" * 200_000)
    assert len(read_plain(path)) == 200_000
    with pytest.raises(NoPlainFileError, match="more than 100,000 bytes"):
        open_plain(path, 100_000)


@pytest.mark.parametrize("make", NO_PLAIN, ids=lambda make: make.__name__)
@pytest.mark.parametrize("add", [True, False])
def test_what_is_no_plain_file_is_not_written_either(
    tmp_path: Path, make: Callable[[Path], None], *, add: bool
) -> None:
    make(tmp_path / "it")
    with soon(), pytest.raises(NoPlainFileError):
        open_new(tmp_path / "it", add=add)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """Which somebody may have laid in a folder that is shared."""
    (tmp_path / "other").write_text("somebody's")
    for target in ("other", "to be made"):
        (tmp_path / "report.html").unlink(missing_ok=True)
        (tmp_path / "report.html").symlink_to(tmp_path / target)
        with pytest.raises(NoPlainFileError):
            write_new(tmp_path / "report.html", "ours")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "report.html"]
    assert (tmp_path / "other").read_text() == "somebody's"


def test_airflow_does_not_try_again_to_read_what_is_no_plain_file(tmp_path: Path) -> None:
    pipe(tmp_path / "it")
    with pytest.raises(failures.PlanRefused, match="is no plain file"), failures.final_failures():
        read_plain(tmp_path / "it")
    assert issubclass(NoPlainFileError, PlanRefused)
