"""What make dist refuses, and what it tells of a release."""

from __future__ import annotations

import hashlib
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

from scripts.environments import read_pins
from scripts.release import NotFit, check_same, check_version, runtime, sums

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("again", "named"),
    [({"a": b"1", "b": b"3"}, "b"), ({"a": b"1"}, "b"), ({"a": b"1", "b": b"2", "c": b""}, "c")],
)
def test_files_that_differ_are_no_release(again: dict[str, bytes], named: str) -> None:
    first = {"a": b"1", "b": b"2"}
    check_same(first, dict(first), "when built again")
    with pytest.raises(NotFit, match=f"^not the same bytes when built again: {named}$"):
        check_same(first, again, "when built again")


def test_a_version_is_released_with_its_section_and_day() -> None:
    assert check_version("0.2.0", "# Changelog\n\n## [0.2.0] - 2026-12-31\n") == ""
    for section in ("[Unreleased]", "[0.2.0]", "[0.2.0] - 2026", "[0x2.0] - 2026-12-31"):
        assert "has no section [0.2.0] with a day" in check_version("0.2.0", f"## {section}\n")


def test_the_bill_names_what_the_package_needs_and_no_more() -> None:
    needed = runtime()
    names = ("apache-airflow", "msgspec", "requests", "aiohttp")
    pins = read_pins(ROOT / "constraints.txt")
    # Beside another Airflow, as in make test-matrix, versions are other ones than those of a release.
    is_pinned = version("apache-airflow") == pins["apache-airflow"]
    assert {name: needed[name] for name in names} == {
        name: pins[name] if is_pinned else version(name) for name in names
    }
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert not {"moto", "pytest", "mypy", "airflow-bitrix", *project["optional-dependencies"]} & needed.keys()


def test_hashes_are_written_as_sha256sum_reads_them(tmp_path: Path) -> None:
    (tmp_path / "b").write_bytes(b"2")
    (tmp_path / "a").write_bytes(b"1")
    told = sums([tmp_path / "b", tmp_path / "a"])
    assert told.splitlines()[0] == f"{hashlib.sha256(b'1').hexdigest()}  a"
