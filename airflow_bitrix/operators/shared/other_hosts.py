"""What a task does not see because another host wrote it, onto a disk of its own."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext, pgettext
from airflow_bitrix.files import part_name
from airflow_bitrix.files.disks import is_on_disk
from airflow_bitrix.files.plan_locks import hosts_at
from airflow_bitrix.report.texts import SHARE

_LONGEST = 100
"""Signs of a host's name that are shown."""


def this_host() -> str:
    """Give the name by which others know this host."""
    return socket.gethostname()


def elsewhere(left: Mapping[str, tuple[str, str]]) -> dict[str, tuple[str, str]]:
    """Give what was left on disks of other hosts.

    :param left: Where tasks have left something, and on which host, by the task's id.
    """
    return {
        task: (place, host)
        for task, (place, host) in left.items()
        if host != this_host() and "://" not in place
    }


_MISSING: Mapping[str, Callable[[], str]] = {
    "plan": lambda: pgettext("genitive", "plan"),
    "journal": lambda: pgettext("genitive", "journal"),
    "snapshot": lambda: pgettext("genitive", "snapshot"),
}


def refuse_unseen(what: str, folder: Path, host: object) -> None:
    """Refuse to go on without what another host wrote; the next try looks again.

    :param what: What is missing: ``plan``, ``journal`` or ``snapshot``.
    :param folder: Where it was to be.
    :param host: The host that wrote it; nothing where that is not known, or an earlier version did.
    :raises RetryLater: Another host wrote it.
    """
    here = this_host()
    if host not in (None, here):
        raise RetryLater(
            gettext(
                "there is no {what} in {folder} as this host, {here}, sees it: it was written by host "
                "{host}. {share}. The next try looks again",
                what=_MISSING[what](),
                folder=folder,
                here=here,
                host=as_plain_text(host, _LONGEST),
                share=gettext(SHARE),
            )
        )


def not_here(folder: Path) -> str:
    """Say of a folder that is on no disk of this host that it may be on another's; nothing of any other."""
    if not is_on_disk(folder) or folder.exists():
        return ""
    return gettext(
        ". This host, {this_host}, has no such folder: if another one wrote it, {share}",
        this_host=this_host(),
        share=gettext(SHARE),
    )


def find_journal(plan: Path, folder: Path, parts: Iterable[int], *, any_will_do: bool = False) -> None:
    """Look whether another host applied parts of a plan, and wrote a journal that is not to be seen here.

    Whoever sees the plan sees what lies beside it, too.

    :param folder: The folder that holds the journal.
    :param any_will_do: Whether a journal of other parts tells that all is seen.
    :raises RetryLater: So it is.
    """
    if folder == plan.parent or not is_on_disk(folder) or (any_will_do and (folder / "journal").exists()):
        return
    missing = {number for number in parts if not (folder / "journal" / part_name(number)).exists()}
    for host in hosts_at(plan, folder, missing):
        refuse_unseen("journal", folder, host)
