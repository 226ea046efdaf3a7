"""``make pictures``: keeps those of the browser tests' pictures that the documentation shows."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from scripts.docs_pages import DOCS

KEPT: Mapping[str, str] = {
    "way-02-trigger": "trigger-form",
    "way-03-approval": "approval",
    "way-04-lead-before": "lead-before",
    "way-07-report": "report-tab",
    "way-14-restore-report": "restore-report",
}
"""What the documentation calls a picture, by what the tests call it."""


def keep(taken: Path, shown: Path) -> None:
    """Copy the pictures that the documentation shows."""
    shown.mkdir(exist_ok=True)
    for name, kept in KEPT.items():
        shutil.copyfile(taken / f"{name}.png", shown / f"{kept}.png")


if __name__ == "__main__":
    keep(Path(sys.argv[1]), DOCS / "images")
