"""What the tab shows of a run: the plan of one of its tasks, or the differences that one has found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from urllib.parse import quote

from airflow_bitrix.core.errors import PlanRefused
from airflow_bitrix.core.families import row_of
from airflow_bitrix.core.kind_words import owners
from airflow_bitrix.core.languages import gettext, gettext_noop, language
from airflow_bitrix.files.damage import reading
from airflow_bitrix.files.outcome_index import OutcomeIndex
from airflow_bitrix.files.partial_views import read_partial
from airflow_bitrix.files.plans import MANIFEST, Manifest, read_manifest
from airflow_bitrix.files.snapshot_changes import CHANGED, read_snapshot_changes
from airflow_bitrix.files.snapshots import ABOUT, Snapshot, read_snapshot
from airflow_bitrix.files.stamps import Stamp, stamp
from airflow_bitrix.operators.shared.other_hosts import elsewhere
from airflow_bitrix.plugins.differences import found_in
from airflow_bitrix.plugins.run_files import shown_files
from airflow_bitrix.plugins.run_places import logs_of, places_of
from airflow_bitrix.plugins.run_states import RunState
from airflow_bitrix.report.indexed import summary_of
from airflow_bitrix.report.notices import (
    UNDER_WAY,
    Notice,
    empty_snapshots,
    failed,
    notices,
    queued,
    retried,
    seen_partially,
    without_plan,
)
from airflow_bitrix.report.offers import Offer, Places, bring_back, next_steps
from airflow_bitrix.report.opening import opening, opening_of_snapshots
from airflow_bitrix.report.page import Download, PlanLine, Tab, as_tab

_HOLDS = {
    "failed.csv": gettext_noop("what failed, drifted or overwrote somebody's change, and why"),
    "left_out.csv": gettext_noop("what the rules left out on purpose, and why"),
    "reconcile.csv": gettext_noop("what differs from what a migration wants"),
    CHANGED: gettext_noop("what differs from the snapshot before"),
    "report.html": gettext_noop("this report in one file, for mail and archive"),
    "changes.html": gettext_noop("what differs, with figures, in one file"),
}


def run_page(
    stands: RunState,
    tasks: Mapping[str, Path | PlanRefused],
    task: str,
    index_of: Callable[[Path], OutcomeIndex],
) -> str:
    """Give the page of a run.

    :param stands: How the DAG run stands.
    :param tasks: Folders of its tasks by name, or why one cannot be read.
    :param task: The task to show; empty for the first that has a plan, and while the run is under way for the
        one whose plan was made last or is being made: it waits for somebody, or is being applied.
    :param index_of: Gives the index of a folder.
    :raises PlanRefused: None of its folders can be read.
    :raises RetryLater: The object storage that they lie on is away.
    """
    heading, state = gettext("Bitrix24 report"), stands.state
    live = state in UNDER_WAY
    folders = {name: folder for name, folder in tasks.items() if not isinstance(folder, PlanRefused)}
    refused = [why for why in tasks.values() if isinstance(why, PlanRefused)]
    if refused and not folders:
        raise refused[0]
    unread = [Notice("odd", gettext("A task is not shown:"), f"{why}.") for why in refused]
    unread += [*queued(stands.ahead), *failed(stands.why, logs_of(stands))]
    first = [*unread, *retried(stands.retrying)]
    planned = [name for name, folder in folders.items() if (folder / "plan").is_dir()]
    names = [*planned, *(name for name in folders if name not in planned)]
    if not task and live and planned:
        task = max(planned, key=lambda name: (_made(folders[name] / "plan"), name))
    task = task or next(iter(names), "")
    if not task:
        return as_tab(None, Tab(heading, [*first, without_plan(state, elsewhere(stands.left))], live=live))
    folder = folders[task]
    if task not in planned:
        found = found_in(folder)
        heading = found.title if found else task
        own = _snapshots(folder)
        first = [*seen_partially(read_partial(folder)), *empty_snapshots(own), *first]
        places = places_of(stands)
        offers = () if live else _offers(folder, own, found.total if found else 0, places)
        downloads = _downloads(folder, task)
        says = opening_of_snapshots(own, found.total if found and found.is_compared else None)
        tab = Tab(heading, first, says, live, names, task, "", downloads, found=found, offers=offers)
        return as_tab(None, tab)
    manifest = folder / "plan" / MANIFEST
    try:
        with reading(manifest):
            whole = "" if live else _whole([folders[name] for name in planned])
            plans = _plans({name: folders[name] for name in planned}, index_of)
            return _plan_page(stands, index_of(folder), unread, names, task, whole=whole, plans=plans)
    except PlanRefused as error:
        notice = Notice("bad", gettext("The plan cannot be shown:"), f"{error}.")
        if not manifest.exists():  # it goes first and is written last, and whole
            notice = without_plan(state)
        return as_tab(None, Tab(heading, [*first, notice], live=live, tasks=names, task=task))


def _plan_page(
    stands: RunState,
    index: OutcomeIndex,
    unread: Sequence[Notice],
    names: Sequence[str],
    task: str,
    *,
    whole: str,
    plans: Sequence[PlanLine],
) -> str:
    """Give the page of a plan and what became of it.

    :param unread: Which tasks cannot be shown, and what the run is queued behind.
    :param names: Names of the tasks that have files.
    :param whole: The folder of the run, where it was about several kinds of owners.
    :param plans: All plans of the run, where it has several.
    """
    live, folder, summary = stands.state in UNDER_WAY, index.plan.parent, summary_of(index)
    again = _again(stands, index.manifest)
    told = notices(summary, stands.state, is_begun=index.is_begun, retrying=stands.retrying, again=again)
    rows_url, downloads = f"rows?task={quote(task)}&lang={language()}", _downloads(folder, task, is_plan=True)
    places, begun = places_of(stands, summary.approval), {"is_begun": index.is_begun}
    offers = next_steps(summary, str(folder), places, stands.state, whole=whole, **begun)
    says = opening(summary, stands.state, **begun)
    tab = Tab(
        summary.title,
        [*unread, *told],
        says,
        live,
        names,
        task,
        rows_url,
        downloads,
        offers=offers,
        plans=plans,
    )
    return as_tab(summary, tab)


def _plans(folders: Mapping[str, Path], index_of: Callable[[Path], OutcomeIndex]) -> list[PlanLine]:
    """Tell of all plans of a run what became of them, where it has several."""
    found = []
    for task, folder in folders.items() if len(folders) > 1 else ():
        with suppress(PlanRefused):  # the page of that plan says what is wrong with it
            index = index_of(folder)
            found.append(PlanLine(task, owners(index.manifest.kind, index.manifest.changes), index.counts))
    return found


def _whole(tasks: Sequence[Path]) -> str:
    """Give the folder of a run, where its tasks applied plans for owners of several kinds, one for each."""
    kinds = []
    for folder in tasks if len(tasks) > 1 else ():
        if any(folder.glob("journal/part-*.jsonl")):
            with suppress(PlanRefused):
                # A restore has one plan for whichever smart process there is.
                kinds.append(row_of(read_manifest(folder / "plan").kind))
    return str(tasks[0].parent) if len(kinds) == len({*kinds}) > 1 else ""


def _made(plan: Path) -> Stamp:
    """Tell when a plan was made; of one that has no manifest yet, when its last part was begun."""
    return stamp(plan / MANIFEST) or stamp(plan)


def _again(stands: RunState, manifest: Manifest) -> str:
    """Tell since when the run goes on again with a plan that is older; empty where that is not so."""
    if stands.state not in UNDER_WAY or not stands.cleared:
        return ""
    since = stands.cleared.replace(microsecond=0)  # a manifest tells seconds
    is_older = datetime.fromisoformat(manifest.created).timestamp() < since.timestamp()
    return since.isoformat() if is_older else ""


def _downloads(folder: Path, task: str, *, is_plan: bool = False) -> list[Download]:
    asked = f"?task={quote(task)}"
    made = [
        Download(
            f"outcomes.csv{asked}",
            "outcomes.csv",
            gettext("every change with its outcome, for a spreadsheet"),
        ),
        Download(
            f"outcomes.jsonl{asked}",
            "outcomes.jsonl",
            gettext("the same as JSON Lines, with sorts and roles"),
        ),
    ]
    lying = [
        Download(f"files/{quote(name)}{asked}", name, gettext(_HOLDS[name]) if name in _HOLDS else "")
        for name in shown_files(folder)
    ]
    return [*(made if is_plan else ()), *lying]


def _snapshots(folder: Path) -> list[Snapshot]:
    """Give the whole snapshots that a task has left, the oldest first."""
    found = []
    for path in folder.glob(f"*/{ABOUT}"):
        with suppress(PlanRefused):  # no restore takes one that is not whole
            found.append(read_snapshot(path.parent))
    return sorted(found, key=lambda one: (one.created, str(one.folder)))


def _offers(folder: Path, own: Sequence[Snapshot], changes: int, places: Places) -> list[Offer]:
    """Offer to bring links back to snapshots: those before that of a task, if they are kept, and its own.

    :param own: Its own ones.
    :param changes: How many differences the task has found.
    """
    compared = read_snapshot_changes(folder)
    told = compared.earlier if compared else ()
    earlier = [one for one in told if "://" in one[1] or (Path(one[1]) / ABOUT).exists()]
    ours = [(one.created, str(one.folder)) for one in own if one.owners]
    return bring_back(earlier, ours, changes, places)
