"""Carrying out changes: look, write, look again, and account for every one of them.

How requests are made up and what becomes of a change is told in :mod:`~airflow_bitrix.engine.apply_run`.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping
from itertools import islice
from types import MappingProxyType

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.links import LinkSet, OwnerKind
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.engine.apply_interfaces import Gate, Journal, Progress
from airflow_bitrix.engine.apply_run import STRETCH, ApplyRun
from airflow_bitrix.engine.change_tasks import ChangeTask
from airflow_bitrix.engine.comments import Comments

__all__ = ["Journal", "apply_changes"]

_NOTHING: Mapping[int, LinkSet] = MappingProxyType({})


async def apply_changes(
    portal: AsyncPortal,
    kind: OwnerKind,
    changes: Iterable[Change],
    journal: Journal,
    *,
    written_before: Mapping[int, LinkSet] = _NOTHING,
    owed_before: Container[int] = (),
    settled_before: Mapping[int, ChangeOutcome] | None = None,
    settled_lately: Container[int] = (),
    dry_run: bool = False,
    progress: Progress | None = None,
    gate: Gate | None = None,
    comments: Comments | None = None,
) -> None:
    """Carry out changes and note one outcome for each in the journal.

    :param portal: The portal.
    :param kind: The kind of the owners.
    :param changes: What to do; each owner at most once.
    :param journal: Takes the outcomes; what it asks for is awaited as a write leaves, behind every wait.
    :param written_before: What owners held, by id, whose write was begun by an earlier run that did not end.
    :param owed_before: Ids of those among them that the portal is known not to have saved.
    :param settled_before: Outcomes of owners that an earlier run left as the plan wants them. They are looked
        at; where they are still so, their outcome is noted again. They are never written again.
    :param settled_lately: Ids of those among them whose outcome is noted again without a look.
    :param dry_run: Look only: what would be written becomes ``skipped``.
    :param progress: Called with the number of changes that have just got their outcome.
    :param gate: Asked before each write request whether to go on; an error that it gives is raised when the
        requests under way are accounted for.
    :param comments: Says on the cards of what was changed that it was, but for the last of them, which are
        its caller's to send; ``None`` for nothing there.
    :raises RetryLater: The portal takes no more requests, or lets a method rest for long (then ``until`` is
        set). Outcomes noted so far stand; another run goes on.
    :raises AuthFailed: The portal no longer accepts the webhook.
    """
    settled = settled_before or {}
    tell = progress or _unseen
    run = ApplyRun(portal, kind, journal, tell, gate or _open, comments=comments)

    def to_look_at() -> Iterator[ChangeTask]:
        for change in changes:
            owner_id = change.owner.id
            if owner_id in settled_lately and not (comments and comments.wants(settled[owner_id])):
                journal.note(settled[owner_id])
                tell(1)
            else:
                before = written_before.get(owner_id)
                yield ChangeTask(
                    change,
                    written=before is not None,
                    before=before,
                    owes_save=before is not None and owner_id in owed_before,
                    settled=settled.get(owner_id),
                )

    tasks = to_look_at()
    while stretch := list(islice(tasks, STRETCH)):
        await run.stretch(stretch, dry_run=dry_run)
        if comments:  # where nothing was written, those on what an earlier run changed are due all the same
            await comments.send()


def _unseen(_done: int) -> None:
    """Progress that nobody looks at."""


def _open() -> None:
    """A gate that is always open."""
