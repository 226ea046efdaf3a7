"""Where a task keeps what it makes: its files, and the numbers of its progress."""

from __future__ import annotations

import hashlib
import logging
import os
import re
import time
from collections.abc import Callable
from errno import ELOOP
from pathlib import Path
from typing import Any, cast

from airflow.sdk import Context, ObjectStoragePath
from airflow.sdk.io import attach

from airflow_bitrix.compat import conf
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.own_files import go_by

_LONGEST = 200
"""Bytes of a name; file systems take 255, and some files have a suffix."""

_DISK = ("file", "local")
"""Schemes of addresses that lead to this machine's disk."""

go_by(lambda: conf.get("bitrix24", "artifacts_access", fallback="private") or "private")

log = logging.getLogger(__name__)

KEPT_OPEN = 60.0
"""Seconds for which what opened an object storage is kept at least: each leaves something behind."""

_opened_anew: dict[str, float] = {}


def as_folder(text: str) -> Path:
    """Give a path, or an object storage address, as something that behaves like a path.

    What Airflow calls a storage and is this machine's disk is a path: so pipes and links are told from files.
    """
    scheme, is_address, rest = text.partition("://")
    if is_address and scheme.lower() not in _DISK:
        return cast("Path", ObjectStoragePath(text))
    return Path(rest if is_address else text)


def given_folder(argument: str, given: object) -> Path:
    """Give the path, or the object storage address, that an argument names.

    The storage is asked anew each time that something is looked for: other hosts write there, too.

    :raises InvalidInput: It is no text, an empty one, or an address that this Airflow has no file system for.
    """
    if (
        not isinstance(given, str) or not given or "\0" in given
    ):  # with native objects a template makes a number of "17"
        raise InvalidInput(argument, given, gettext("the path or address of a file or folder, as text"))
    try:
        folder = as_folder(given)
        if storage := getattr(folder, "fs", None):  # that of an address is looked for when it is first used
            storage.dircache.use_listings_cache = False
            storage.dircache.clear()
    except (ValueError, ImportError) as error:  # no such scheme, or its library is not installed
        accepted = gettext("a path, or an address that Airflow can open ({error})", error=error)
        raise InvalidInput(argument, given, accepted) from None
    return folder


def named_file(argument: str, given: object) -> Path:
    """Give the path or address of a file, or of a folder to read, that whoever fills in a form may name.

    :raises InvalidInput: As :func:`given_folder` does; or it lies in none of the folders of ``[bitrix24]
        files_path``, where there are any, nor among the artifacts.
    """
    path = given_folder(argument, given)
    folders = [text.strip() for text in conf.get("bitrix24", "files_path", fallback="").split(",")]
    folders = [text for text in folders if text]
    if folders and not any(lies_in(path, one) for one in (*map(as_folder, folders), artifacts_root())):
        accepted = gettext(
            "what lies in {folders} or among the artifacts ([bitrix24] files_path)",
            folders=" or ".join(folders),
        )
        raise InvalidInput(argument, given, accepted)
    return path


def lies_in(path: Path, folder: Path) -> bool:
    """Whether a path leads into a folder, symbolic links and dots followed."""
    if is_on_disk(path) and is_on_disk(folder):
        try:
            return not _goes_round(path) and path.resolve().is_relative_to(folder.resolve())
        except (OSError, RuntimeError):  # links that go round, a name that is none
            return False
    inside = f"{str(folder).rstrip('/')}/"
    is_like_it = is_on_disk(path) == is_on_disk(folder) and ".." not in path.parts
    return is_like_it and f"{path}/".startswith(inside) and _conn_id(path) in ("", _conn_id(folder))


def _goes_round(path: Path) -> bool:
    """Whether links lead back to themselves: since Python 3.13, resolving these gives a path all the same."""
    try:
        path.stat()
    except OSError as error:
        return error.errno == ELOOP
    return False


def _conn_id(path: Path) -> str:
    """Give the connection that an address names; its text does not tell in each Airflow."""
    of_airflow_3_1 = getattr(path, "storage_options", {}).get("conn_id")
    return str(getattr(path, "conn_id", of_airflow_3_1) or "")


def artifacts_root() -> Path:
    """Give the folder that ``[bitrix24] artifacts_path`` names, by default ``bitrix24`` in AIRFLOW_HOME."""
    configured = conf.get("bitrix24", "artifacts_path", fallback="")
    if configured:
        return given_folder("[bitrix24] artifacts_path", configured)
    return Path(os.environ.get("AIRFLOW_HOME", "~/airflow")).expanduser() / "bitrix24"


def run_folder(dag_id: str, run_id: str) -> Path:
    """Give the folder of a run's tasks: ``<root>/<dag id>/<run id>``."""
    return artifacts_root().joinpath(*folder_names(dag_id, run_id))


def task_folder(context: Context) -> Path:
    """Give the folder of a task's files: ``<root>/<dag id>/<run id>/<task id>``, with the index if mapped.

    :raises InvalidInput: The task is executed outside of a DAG run, and has no folder of its own.
    """
    if "dag" not in context:
        raise InvalidInput(
            "artifacts_path", None, gettext("a folder, where a task is executed outside of a DAG run")
        )
    return run_folder(context["dag"].dag_id, context["run_id"]) / _plain(_task_name(context))


def tab_folder(dag_id: str, run_id: str) -> Path | None:
    """Give the folder that the report tab of a run reads; ``None`` where there is none."""
    try:
        return run_folder(dag_id, run_id)
    except InvalidInput:
        return None  # whoever keeps files there is told; a task with a folder of its own goes on


def is_in_tab(path: Path, tab: Path | None) -> bool:
    """Whether the report tab of a run, which reads one folder, shows what lies at a path."""
    return tab is not None and lies_in(path, tab)


def open_anew(path: Path) -> None:
    """Let the next one who opens an address go by its connection as it is then; see :data:`KEPT_OPEN`."""
    now = time.monotonic()
    if not is_on_disk(path) and now - _opened_anew.get(str(path), -KEPT_OPEN) >= KEPT_OPEN:
        _opened_anew[str(path)] = now
        vars(attach(cast("Any", path).protocol, _conn_id(path) or None)).pop("fs", None)


def folder_names(dag_id: str, run_id: str) -> tuple[str, str]:
    """Give the names of the two folders, one in the other, in which the tasks of a DAG run have theirs."""
    return _plain(dag_id), _plain(run_id)


def lasting_file(context: Context, *names: str) -> Path:
    """Give the file that a task keeps from run to run: ``<root>/<dag id>/<task id>.<names>.json``."""
    return _dag_folder(context) / f"{_plain(_task_name(context), *names)}.json"


def _dag_folder(context: Context) -> Path:
    return artifacts_root() / _plain(context["dag"].dag_id)


def _task_name(context: Context) -> str:
    ti = context["ti"]
    return ti.task_id if ti.map_index is None or ti.map_index < 0 else f"{ti.task_id}.{ti.map_index}"


def _plain(*names: str) -> str:
    """Give names as one name of a file, another one for other names, in :data:`_LONGEST` bytes at most.

    Run ids hold colons and plus signs, and whoever triggers a run may choose one with slashes: what does not
    belong into a file's name stands as ``%3A`` does for a colon. So two runs never share a folder.
    """
    plain = ".".join(re.sub(r"[^\w.-]|^\.+", _escaped, name) for name in names)
    whole = plain.encode()
    if len(whole) <= _LONGEST:
        return plain
    digest = hashlib.sha256(whole).hexdigest()[:16]
    return f"{whole[: _LONGEST - 17].decode(errors='ignore')}~{digest}"


def _escaped(found: re.Match[str]) -> str:
    return "".join(f"%{byte:02X}" for byte in found[0].encode(errors="surrogatepass"))


def progress_teller(context: Context) -> Callable[[dict[str, Any]], object] | None:
    """Give what keeps the progress where the UI shows it, None before Airflow 3.3.

    Where that fails, the work goes on all the same, and a warning tells so once.
    """
    store = context.get("task_state_store")
    if store is None:
        return None
    failed = False

    def tell(numbers: dict[str, Any]) -> None:
        nonlocal failed
        try:
            store.set("progress", numbers)
        except Exception as error:  # noqa: BLE001 (whatever Airflow raises, the work is not about it)
            if not failed:
                log.warning(
                    "%s",
                    gettext(
                        "Cannot keep the progress in the task's state, only in the log: {error}", error=error
                    ),
                )
            failed = True

    return tell
