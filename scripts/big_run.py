"""A run of any size in an artifacts folder, as an apply that is over leaves it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.links import LinkSet, Owner
from airflow_bitrix.core.names import OwnerNames
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.files import part_name
from airflow_bitrix.files.journals import JournalPart
from airflow_bitrix.files.names import write_part_names
from airflow_bitrix.files.plans import PART_CHANGES, PlanWriter

if TYPE_CHECKING:
    from pathlib import Path

FAILED_EVERY = 1000
REASON = "The lead is <b>locked</b> by another user"
RULE = "release_repeat_leads"


def plant(folder: Path, many: int) -> None:
    """Write the plan, the journal and the names of as many changes; each thousandth has failed.

    :param folder: The folder of the task that seems to have made the plan.
    :param many: Changes; they are of the leads from 1 on.
    """
    with PlanWriter(folder / "plan") as plan:
        for number in range(1, many + 1):
            plan.add(_change(number))
        manifest = plan.finish(
            read=many,
            kind="lead",
            portal="http://127.0.0.1:8900",
            created="2026-11-21T10:00:00+00:00",
            rules=(RULE,),
            guards=Guards(),
        )
    journal = folder / "journal"
    journal.mkdir()
    for part in range(len(manifest.parts)):
        numbers = range(part * PART_CHANGES + 1, min((part + 1) * PART_CHANGES, many) + 1)
        with JournalPart(journal / part_name(part), plan_hash=manifest.hash, dry_run=False) as lines:
            for number in numbers:
                lines.note(_outcome(number))
        write_part_names(folder, part, ((number, _names(number)) for number in numbers))


def _links(number: int) -> LinkSet:
    return LinkSet.of_ids(Owner("lead", number), _contacts(number), number)


def _contacts(number: int) -> range:
    return range(number, number + 1 + number % 5)


def _names(number: int) -> OwnerNames:
    contacts = {one: f"{_FIRST[one % len(_FIRST)]} {_LAST[one % len(_LAST)]}" for one in _contacts(number)}
    title = f"Поставка {number}, склад «Северный»"
    return OwnerNames(title, "Переговоры", "Ольга Петрова", contacts)


_FIRST = ("Иван", "Мария", "Пётр", "Елена", "Алексей", "Наталья", "Дмитрий")
_LAST = ("Кузнецов", "Смирнова", "Шмидт", "Иваненко", "Соколова")


def _change(number: int) -> Change:
    why = f"{RULE}: repeat lead: unlink {1 + number % 5} contacts and save"
    return Change(_links(number), LinkSet(Owner("lead", number)), (why,), rules=(RULE,), may_empty=True)


def _outcome(number: int) -> ChangeOutcome:
    if number % FAILED_EVERY == 0:
        return ChangeOutcome(Owner("lead", number), "failed", REASON)
    return ChangeOutcome(Owner("lead", number), "applied", "", _links(number))
