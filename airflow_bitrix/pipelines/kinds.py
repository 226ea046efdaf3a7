"""One run over several kinds of owners: which of them, and what their tasks are called."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator, Param, task

from airflow_bitrix.core.families import SMART_PROCESS, family_of, row_of
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OWNER_KINDS, OwnerKind
from airflow_bitrix.hooks.failures import final_failures, says_why
from airflow_bitrix.operators.shared.restore_sources import kinds_of

BY_LINKS: tuple[OwnerKind, ...] = ("lead", "deal", "quote", "company")
"""The kinds whose contacts are linked by methods of their own, which start no automation."""

_NAMES: Mapping[str, str] = {
    "lead": "leads",
    "deal": "deals",
    "quote": "quotes",
    "company": "companies",
    "contact": "contacts",
    "smart_invoice": "invoices",
    SMART_PROCESS: "smart_process",
}


def kinds_to_choose(smart_processes: Sequence[int] = ()) -> tuple[OwnerKind, ...]:
    """Give the kinds that a form offers: those that every portal has, and the smart processes that are named.

    :param smart_processes: The ``entityTypeId`` of each smart process.
    """
    return (*OWNER_KINDS, *(f"{SMART_PROCESS}_{number}" for number in smart_processes))


def kind_name(kind: str) -> str:
    """Give the name of the task that plans for one kind: ``leads``, ``smart_process_1036``.

    What carries the plan out stands in a task group of the same name.

    :param kind: A kind of owners; or ``dynamic`` for whichever smart process there is.
    """
    return _NAMES.get(kind) or f"{_NAMES[SMART_PROCESS]}_{family_of(kind).entity_type_id}"


def kind_title(kind: str) -> str:
    """Give a kind as forms and tasks call it: ``Leads``.

    :param kind: As :func:`kind_name` takes it.
    """
    words = gettext("smart process items") if kind == SMART_PROCESS else kind_words(kind)["kinds"]
    return words[:1].upper() + words[1:]


def kinds_params(kinds: Sequence[OwnerKind], default: Sequence[OwnerKind] = BY_LINKS) -> dict[str, Param]:
    """Give the parameters with which a form asks for the kinds of owners, and whether they may be saved.

    :param kinds: Those that there are to choose from.
    :param default: Those that are chosen at first.
    """
    about = gettext("What the contacts hang on. Each kind gets a plan; all are approved at once.")
    return {"kinds": kinds_param(kinds, default, about), "allow_saving": saving_param()}


def kinds_param(kinds: Sequence[OwnerKind], default: Sequence[OwnerKind], about: str) -> Param:
    """Give the parameter with which a form asks for the kinds of owners, one or more.

    :param kinds: Those that there are to choose from.
    :param default: Those that are chosen at first.
    :param about: What they are chosen for, in words.
    """
    return Param(
        list(default),
        type="array",
        items={"type": "string", "enum": list(kinds)},
        examples=list(kinds),
        values_display={kind: kind_title(kind) for kind in kinds},
        minItems=1,
        title=gettext("Kinds"),
        description=about,
    )


def kinds_of_form(context: Mapping[str, Any]) -> Collection[str]:
    """Give the kinds that were chosen in a form with :func:`kinds_param`.

    :param context: The context of a task.
    """
    chosen: Collection[str] = context["params"]["kinds"]
    return chosen


def branch_to_kinds(
    first: Mapping[str, BaseOperator],
    wanted: Callable[[Mapping[str, Any]], Collection[str]] = kinds_of_form,
) -> None:
    """Put a task ahead that goes on to the kinds that are wanted; what follows the others is skipped.

    :param first: The first task of each kind.
    :param wanted: Gives the kinds, from the context of the task that is put ahead.
    """

    @task.branch(task_display_name=gettext("Which kinds?"), execution_timeout=timedelta(minutes=5))
    def chosen(**context: Any) -> list[str]:
        kinds = wanted(context)
        return [one.task_id for kind, one in first.items() if kind in kinds]

    chosen() >> list(first.values())


def kinds_to_restore(context: Mapping[str, Any]) -> set[str]:
    """Give the kinds that a run was about, or a snapshot, as the form of a restore names it.

    :param context: The context of a task, in a DAG with the parameters ``journal`` and ``snapshot``.
    :return: The kinds, as :func:`kind_name` takes them: ``dynamic`` for any smart process.
    :raises InvalidInput: Not one of the two is given, or it names no folder.
    :raises PlanRefused: There is none, or it is damaged.
    """
    return _found(context["task"], context)


@says_why
def _found(_: Any, context: Mapping[str, Any]) -> set[str]:
    with final_failures():
        params = context["params"]
        return {row_of(kind) for kind in kinds_of(params["journal"], params["snapshot"])}


def saving_param(**where: Any) -> Param:
    """Give the parameter with which a form asks whether owners may be saved that have no link methods.

    :param where: What a ``Param`` takes as well, such as its ``section``.
    """
    return Param(
        default=False,
        type="boolean",
        title=gettext("Allow saving"),
        description=gettext(
            "Invoices and items of smart processes are written by saving them. That starts their automation, "
            "sets the order of their contacts by tens, and makes the first one primary."
        ),
        **where,
    )
