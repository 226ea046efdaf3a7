"""Finding what a restore wants where a person names a whole DAG run: by its folder or its page in Airflow."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NoReturn
from urllib.parse import unquote

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.files.earlier_runs import earlier_journals
from airflow_bitrix.operators.shared.artifacts import named_file, run_folder

HOLDS: Mapping[str, str] = {"journal": "journal/part-*.jsonl", "snapshot": "links.jsonl"}
"""What is in the folder to give, by argument."""

_PAGE = re.compile(r"https?://[^?#]*?/dags/(?P<dag>[^/?#]+)/runs/(?P<run>[^/?#]+)")


def places_in_run(argument: str, text: str) -> list[Path]:
    """Give the folder that a text names; in the folder or page of a run those of the tasks that fit.

    :param argument: ``journal`` or ``snapshot``.
    :param text: A path, an object storage address, or the address of a DAG run's page in Airflow.
    :return: One or more: the folder that is named itself, where nothing in it fits.
    :raises InvalidInput: It is the address of something else, or cannot be read.
    """
    folder = _folder(argument, text)
    try:
        if any(folder.glob(HOLDS[argument])):
            return [folder]
        return sorted(_within(argument, folder)) or [folder]
    except OSError as error:
        raise InvalidInput(
            argument, text, gettext("a folder that can be read ({why})", why=error.strerror or error)
        ) from None


def refuse_several(argument: str, text: str, found: Sequence[Path]) -> NoReturn:
    """Refuse a run that has several which fit.

    :param text: What names the run.
    :raises InvalidInput: It names them.
    """
    run = _folder(argument, text)
    problem = gettext("the run in {folder} has several {argument}s", folder=run, argument=argument)
    folders = ", ".join(map(str, found))
    raise InvalidInput(
        argument, text, gettext("the folder of one of them: {folders}", folders=folders), problem=problem
    )


def _within(argument: str, run: Path) -> Iterator[Path]:
    """Give the folders in that of a run which hold what an argument asks for."""
    if argument == "snapshot":
        yield from (place.parent for place in run.glob(f"*/snapshot*/{HOLDS[argument]}"))
        return
    planned = [task for task in run.glob("*") if "earlier-" not in task.name and (task / "plan").exists()]
    # A task whose runs were all moved aside counts: which of them is meant is for the user to say.
    applied = [task for task in planned if any(task.glob(HOLDS[argument])) or any(earlier_journals(task))]
    # Where none was applied, a plan tells why: of several that were asked about together each does.
    yield from applied or sorted(planned)[:1]


def _folder(argument: str, text: str) -> Path:
    if not text.startswith(("http://", "https://")):
        return named_file(argument, text)
    page = _PAGE.match(text)
    if not page:
        run = "…/dags/<dag id>/runs/<run id>"
        raise InvalidInput(
            argument, text, gettext("a folder, or the address of a run's page in Airflow, {run}", run=run)
        )
    return run_folder(unquote(page["dag"]), unquote(page["run"]))
