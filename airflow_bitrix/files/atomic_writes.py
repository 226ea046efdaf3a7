"""Writing a file that takes the place of another at once, so that whoever reads finds one of them, whole."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO
from uuid import uuid4

from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.own_files import open_nameless, open_new


@contextmanager
def atomic_write(path: Path) -> Iterator[IO[str]]:
    """Open a text file that takes the place of another once it is written."""
    if not is_on_disk(path):
        # It would take what was written until something went wrong, too.
        with open_nameless() as written, io.TextIOWrapper(written, "utf-8", newline="") as text:
            yield text
            text.flush()
            written.seek(0)
            with open_new(path) as file:
                shutil.copyfileobj(written, file.buffer)
        return
    new = path.with_name(f"{path.name}.{uuid4().hex}")
    try:
        with open_new(new, newline="") as file:
            yield file
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)
