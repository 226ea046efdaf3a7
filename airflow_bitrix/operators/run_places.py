"""Finding what a restore wants where a person names a whole DAG run: by its folder or its page in Airflow."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.operators.artifacts import artifacts_root, as_folder, folder_names

HOLDS: Mapping[str, tuple[str, str]] = {
    "journal": ("*", "journal/part-*.jsonl"),
    "snapshot": ("*/snapshot*", "links.jsonl"),
}
"""Where the folder to give lies in that of a run, and what is in it, by argument."""

_PAGE = re.compile(r"https?://[^?#]*?/dags/(?P<dag>[^/?#]+)/runs/(?P<run>[^/?#]+)")


def place_in_run(argument: str, text: str) -> Path:
    """Give the folder that a text names; in the folder or page of a run that of the task that fits.

    :param argument: ``journal`` or ``snapshot``.
    :param text: A path, an object storage address, or the address of a DAG run's page in Airflow.
    :raises InvalidInput: Several tasks of the run fit, or it is the address of something else.
    """
    folder = _folder(argument, text)
    where, what = HOLDS[argument]
    if any(folder.glob(what)):
        return folder
    found = {place for place in folder.glob(where) if any(place.glob(what))}
    if argument == "journal":  # earlier runs in the folder of a task are named to the user, not chosen
        found = {task for task in found if (task / "plan").exists() and "earlier-" not in task.name}
    if len(found) > 1:
        tasks = ", ".join(sorted(map(str, found)))
        problem = f"several tasks of the run in {folder} have a {argument}"
        raise InvalidInput(argument, text, f"the folder of one of them: {tasks}", problem=problem)
    return next(iter(found), folder)


def _folder(argument: str, text: str) -> Path:
    if not text.startswith(("http://", "https://")):
        return as_folder(text)
    page = _PAGE.match(text)
    if not page:
        run = "…/dags/<dag id>/runs/<run id>"
        raise InvalidInput(argument, text, f"a folder, or the address of a run's page in Airflow, {run}")
    return artifacts_root().joinpath(*folder_names(unquote(page["dag"]), unquote(page["run"])))
