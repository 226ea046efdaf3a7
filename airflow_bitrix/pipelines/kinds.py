"""One run over several kinds of owners: which of them, and a task group for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from airflow.sdk import Param, TaskGroup

from airflow_bitrix.core.families import SMART_PROCESS, family_of
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind

BY_LINKS: tuple[OwnerKind, ...] = ("lead", "deal", "quote", "company")
"""The kinds whose contacts are linked by methods of their own, which start no automation."""

_GROUPS: Mapping[str, str] = {
    "lead": "leads",
    "deal": "deals",
    "quote": "quotes",
    "company": "companies",
    "smart_invoice": "invoices",
    SMART_PROCESS: "smart_process",
}


def kind_group(kind: str) -> TaskGroup:
    """Give the task group in which the tasks about one kind stand: ``leads``, ``smart_process_1036``.

    :param kind: A kind of owners; or ``dynamic`` for whichever smart process there is.
    """
    group_id = _GROUPS.get(kind) or f"{_GROUPS[SMART_PROCESS]}_{family_of(kind).entity_type_id}"
    return TaskGroup(group_id, group_display_name=_title(kind))


def kinds_params(kinds: Sequence[OwnerKind], default: Sequence[OwnerKind] = BY_LINKS) -> dict[str, Param]:
    """Give the parameters with which a form asks for the kinds of owners, and whether they may be saved.

    :param kinds: Those that there are to choose from.
    :param default: Those that are chosen at first.
    """
    return {
        "kinds": Param(
            list(default),
            type="array",
            items={"type": "string", "enum": list(kinds)},
            examples=list(kinds),
            values_display={kind: _title(kind) for kind in kinds},
            minItems=1,
            title=gettext("Kinds"),
            description=gettext(
                "What the contacts hang on. Each kind gets a plan; all are approved at once."
            ),
        ),
        "allow_saving": saving_param(),
    }


def saving_param() -> Param:
    """Give the parameter with which a form asks whether owners may be saved that have no link methods."""
    return Param(
        default=False,
        type="boolean",
        title=gettext("Allow saving"),
        description=gettext(
            "Invoices and items of smart processes are written by saving them. That starts their automation, "
            "sets the order of their contacts by tens, and makes the first one primary."
        ),
    )


def _title(kind: str) -> str:
    """Give a kind as a form and a group call it."""
    words = gettext("smart process items") if kind == SMART_PROCESS else kind_words(kind)["kinds"]
    return words[:1].upper() + words[1:]
