"""What ``make security`` makes of vulnerabilities that are known of packages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from scripts.audit import asked, judged, read_excuses

CLEAN = {"name": "a", "version": "1", "vulns": []}
UNKNOWN = {"name": "b", "version": "2", "skip_reason": "not found"}
FOUND: dict[str, Any] = {
    "name": "c",
    "version": "3",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-9"], "fix_versions": ["3.1", "4"]}],
}


@pytest.mark.parametrize(
    ("packages", "excuses", "lines", "passes"),
    [
        ([CLEAN], {}, ["1 packages were looked at"], True),
        ([CLEAN, FOUND], {}, ["c 3: PYSEC-1, mended in 3.1, 4", "2 packages were looked at"], False),
        (
            [FOUND],
            {"CVE-9": "never reached"},
            ["c 3: PYSEC-1, excused: never reached", "1 packages were looked at"],
            True,
        ),
        (
            [CLEAN],
            {"CVE-9": "x"},
            ["CVE-9 is excused, and not found any more", "1 packages were looked at"],
            True,
        ),
        (
            [UNKNOWN, FOUND],
            {},
            [
                "c 3: PYSEC-1, mended in 3.1, 4",
                "of 1 of 2 packages nothing could be learnt",
                "1 packages were looked at",
            ],
            False,
        ),
    ],
)
def test_what_is_found_fails_unless_it_is_excused(
    packages: list[dict[str, Any]], excuses: dict[str, str], lines: list[str], *, passes: bool
) -> None:
    assert judged(packages, excuses) == (lines, passes)


def test_an_excuse_has_a_reason() -> None:
    assert read_excuses(["# all", "", "CVE-9  never reached"]) == {"CVE-9": "never reached"}
    with pytest.raises(ValueError, match="CVE-9 is excused without a reason"):
        read_excuses(["CVE-9"])


def test_where_nobody_can_be_asked_that_is_said(tmp_path: Path) -> None:
    tool = tmp_path / "tool"
    tool.write_text("#!/bin/sh\necho 'first line' >&2\necho 'no connection' >&2\nexit 1\n")
    tool.chmod(0o755)
    assert asked(tool, ["a==1"]) == "no connection"
