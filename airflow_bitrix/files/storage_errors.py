"""What goes wrong with a storage, as one kind of error, whoever's client raises it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from airflow_bitrix.core.errors import Bitrix24Error, RetryLater
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext, gettext_noop

_LONGEST = 300
"""Letters of a storage's words that are shown."""

_MOST = 10_000
_QUERY = re.compile(r"\?[^\s\"']+")
"""What stands behind an address, and may be a key to it, as Azure has them."""


@contextmanager
def storing(path: Path, what: str = "written") -> Iterator[None]:
    """Turn whatever a storage or a disk raises into one error, but for files that are there or are not.

    :param what: What cannot be done with the path.
    :raises RetryLater: It cannot be done now; it says with which path, and why in the storage's own words.
    """
    try:
        yield
    except (FileExistsError, FileNotFoundError, Bitrix24Error):
        raise
    except Exception as error:
        raise away(path, what, error) from error


_CANNOT = {
    "read": gettext_noop("{path} cannot be read now: {said}"),
    "written": gettext_noop("{path} cannot be written now: {said}"),
    "deleted": gettext_noop("{path} cannot be deleted now: {said}"),
}


def away(path: Path | str, what: str, error: Exception) -> RetryLater:
    """Say what cannot be done now, and why in the storage's own words."""
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    said = as_plain_text(_QUERY.sub("?…", str(why)[:_MOST]), _LONGEST)
    return RetryLater(gettext(_CANNOT[what], path=path, said=said))
