"""Reading the files of a run, which anybody may have touched: what is wrong with one is said as a refusal."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.languages import gettext

log = logging.getLogger(__name__)

DAMAGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
    csv.Error,
    msgspec.DecodeError,
)
"""What comes of a file that does not hold what it should."""


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turn whatever goes wrong while files are read into a refusal that names the file, and no path.

    That an object storage is away stays what it is, ``RetryLater``.

    :param path: The file that is blamed where the error does not say which it was.
    :raises PlanRefused: A file cannot be read, or does not hold what it should.
    """
    try:
        yield
    except PlanRefused as error:
        raise PlanRefused(_without_folders(str(error), path)) from error
    except FileNotFoundError as error:
        raise PlanRefused(
            gettext("{named} is gone, or was replaced meanwhile", named=_named(error, path))
        ) from error
    except OSError as error:
        raise PlanRefused(
            gettext("{named} cannot be read: {why}", named=_named(error, path), why=error.strerror or error)
        ) from error
    except DAMAGED as error:
        log.debug("What %s holds is not what it should:", path, exc_info=True)
        raise damaged(path) from error


def damaged(path: Path) -> PlanRefused:
    """Give the refusal of a file that does not hold what it should."""
    return PlanRefused(gettext("{shown} is damaged, or was replaced meanwhile", shown=_shown(path)))


def _named(error: OSError, path: Path) -> str:
    return _shown(Path(os.fsdecode(error.filename)) if error.filename else path)


def _shown(path: Path) -> str:
    """Give a file's name with that of its folder: a plan's parts and a journal's have the same names."""
    return f"{path.parent.name}/{path.name}"


def _without_folders(text: str, path: Path) -> str:
    return text.replace(in_folder(path.parent), "").replace(f"{path.parent.parent}/", "")


def in_folder(folder: Path) -> str:
    """Say where something lies, as a part of a sentence that :func:`reading` may leave out."""
    return gettext(" in {folder}", folder=folder)
