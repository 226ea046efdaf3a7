"""What a person may do next with a run: answer, do it, try again, take it back; each where it can be done."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import as_set, gettext, gettext_noop
from airflow_bitrix.core.timestamps import shown_timestamp
from airflow_bitrix.report.notices import UNDER_WAY
from airflow_bitrix.report.summary import Summary
from airflow_bitrix.report.texts import has_expired


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that a person may do next.

    :param how: How it is done.
    :param folders: What is to be copied for it: what each is, and its path.
    :param address: Where it is done, relative to the page; empty where that is not known.
    :param called: What the link says.
    """

    title: str
    how: str
    folders: Sequence[tuple[str, str]] = ()
    address: str = ""
    called: str = ""


@dataclass(frozen=True, slots=True)
class Places:
    """Pages of Airflow around a run, relative to the page; empty where there is none, as for a file.

    :param dag: The page of the run's DAG, where it is triggered.
    :param run: The page of the run.
    :param question: Where the question about the plan is answered.
    :param asker: The task that puts it.
    :param restore: The page of the DAG that brings links back.
    """

    dag: str = ""
    run: str = ""
    question: str = ""
    asker: str = ""
    restore: str = ""


NOWHERE = Places()

RESTORE_CALLED = gettext_noop("Bitrix24: bring links back")
"""What the sample DAG that brings links back is called."""


def next_steps(
    summary: Summary,
    folder: str,
    places: Places = NOWHERE,
    run: str = "",
    *,
    is_begun: bool = True,
    whole: str = "",
) -> list[Offer]:
    """Say what a person may do next with the run of a plan.

    :param folder: The folder that holds the plan and its journal.
    :param run: State of the DAG run; empty where it is not known.
    :param is_begun: Whether an apply of the plan has begun.
    :param whole: The folder of the run, where it was about other kinds of owners as well.
    """
    if run in UNDER_WAY:
        return [*_answer(summary, places, is_begun=is_begun)]
    return [
        *_ask_again(summary, places),
        *_do_it(summary, places),
        *_go_on(summary, places),
        *take_back(summary, folder, places, whole),
    ]


def _answer(summary: Summary, places: Places, *, is_begun: bool) -> Iterator[Offer]:
    if places.question and not is_begun and summary.approval and summary.approval.answer == "waiting":
        yield Offer(
            gettext("Approve or reject"),
            gettext(
                "What is to be written waits for the answer of a person. The table below shows all of it."
            ),
            address=places.question,
            called=gettext("Answer"),
        )


def _ask_again(summary: Summary, places: Places) -> Iterator[Offer]:
    is_unanswered = bool(summary.approval and summary.approval.answer == "unanswered")
    if places.asker and (is_unanswered or has_expired(summary)):
        yield Offer(
            gettext("Ask again"),
            gettext("Clear the task that asks for approval, with all that follows it, and it asks again."),
            address=places.asker,
            called=gettext("Open that task"),
        )


def _do_it(summary: Summary, places: Places) -> Iterator[Offer]:
    if places.dag and summary.dry_run and summary.manifest.changes and not summary.manifest.broken_guards:
        yield Offer(
            gettext("Do it"),
            gettext(
                "Trigger the DAG with the same form, and with {field} turned off.",
                field=as_set(gettext_noop("Dry run")),
            ),
            address=places.dag,
            called=gettext("Open the DAG"),
        )


def _go_on(summary: Summary, places: Places) -> Iterator[Offer]:
    is_left = summary.counts["failed"] or (summary.counts["applied"] and summary.open)
    if places.run and is_left and not summary.dry_run:
        yield Offer(
            gettext("Try again what has failed or was not tried"),
            gettext("Clear the tasks that apply the plan: they go on there, and write nothing twice."),
            address=places.run,
            called=gettext("Open the run"),
        )


def take_back(summary: Summary, folder: str, places: Places = NOWHERE, whole: str = "") -> list[Offer]:
    """Offer to take a run back, where it may have written something.

    :param folder: The folder that holds its plan and its journal.
    :param whole: The folder of the run, where it was about other kinds of owners as well.
    """
    if summary.dry_run or not (summary.counts["applied"] or summary.counts["failed"]):
        return []
    restore = {"dag": as_set(RESTORE_CALLED), "field": as_set(gettext_noop("Journal"))}
    how = gettext(
        "Copy this folder, trigger the DAG “{dag}”, and give it the folder as {field}. Its dry run shows "
        "what comes back, and what cannot.",
        **restore,
    )
    folders = [(gettext("Folder"), folder)]
    if whole:
        how = gettext(
            "Copy the folder of the run, trigger the DAG “{dag}”, and give it the folder as {field}: it "
            "takes back all kinds that the run was about. Its dry run shows what comes back and what cannot.",
            **restore,
        )
        alone = gettext("Folder of the {kinds} alone", **kind_words(summary.manifest.kind))
        folders = [(gettext("Folder of the run"), whole), (alone, folder)]
    return [Offer(gettext("Take this run back"), how, folders, *_restore(places))]


def bring_back(
    earlier: Sequence[tuple[str, str]],
    own: Sequence[tuple[str, str]],
    changes: int,
    places: Places = NOWHERE,
) -> list[Offer]:
    """Offer to bring links back to a snapshot: to one from before its changes, which it holds itself.

    :param earlier: When the snapshots before it were made, ISO 8601, and their folders, the newest first.
    :param own: The same of those that the task has made.
    :param changes: How many differences it has found.
    """
    offers = []
    restore = {"dag": as_set(RESTORE_CALLED), "field": as_set(gettext_noop("Snapshot"))}
    if earlier:
        how = gettext(
            "Trigger the DAG “{dag}”, and give it one of these folders as {field}; the first is the last one "
            "before the changes.",
            **restore,
        )
        title = gettext("Bring links back to what they were before")
        offers.append(Offer(title, how, _dated(earlier), *_restore(places)))
    if own:
        held = gettext("It holds the changes: it undoes what comes after them.") if changes else ""
        how = gettext("Trigger the DAG “{dag}”, and give it this folder as {field}.", **restore)
        title = gettext("Bring links back to this snapshot")
        offers.append(Offer(title, f"{how} {held}".strip(), _dated(own), *_restore(places)))
    return offers


def _restore(places: Places) -> tuple[str, str]:
    return places.restore, gettext("Open that DAG")


def _dated(snapshots: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [
        (gettext("Snapshot of {moment}", moment=shown_timestamp(created)), folder)
        for created, folder in snapshots
    ]
