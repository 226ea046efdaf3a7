"""``make pictures``: keeps those of the browser tests' pictures that the documentation shows."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

from scripts.docs_pages import DOCS
from scripts.docs_site import ENGLISH, TRANSLATIONS

KEPT = ("trigger-form", "dry-run", "approval", "report-tab", "restore-report")


def keep(taken: Path, shown: Path) -> None:
    """Copy the pictures that the documentation shows; those of translations into folders of their own."""
    for language in (ENGLISH, *TRANSLATIONS):
        folder = shown / language if language in TRANSLATIONS else shown
        folder.mkdir(exist_ok=True)
        for name in KEPT:
            shutil.copyfile(taken / f"first-{language}-{name}.png", folder / f"{name}.png")


if __name__ == "__main__":
    keep(Path(sys.argv[1]), DOCS / "images")
