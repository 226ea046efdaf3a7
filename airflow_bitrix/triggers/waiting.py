"""Triggers that wait until a portal shows something; those of one connection ask together."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any

from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.link_conditions import link_condition
from airflow_bitrix.core.links import (
    EntityKind,
    LinkSet,
    Owner,
    OwnerKind,
    entity_kind,
    owner_kind,
    positive_id,
)
from airflow_bitrix.core.row_counts import CountCondition
from airflow_bitrix.crm.filter_checks import check_form
from airflow_bitrix.crm.questions import Question, RowCount
from airflow_bitrix.triggers.shared_looks import Answer, shown

FOUND, FAILED, SAID = "found", "failed", "said"
"""Keys of an event: what was found; or the name of an error, and its words."""


def as_found(answer: Answer) -> int | dict[str, Any]:
    """Give an answer as XComs and events hold it."""
    if isinstance(answer, LinkSet):
        return {"contact_ids": list(answer.contact_ids), "primary_id": answer.shown_id}
    return answer


def trigger_event(payload: dict[str, Any]) -> TriggerEvent:
    """Give an event of a trigger."""
    return TriggerEvent(payload)  # type: ignore[no-untyped-call]


class _Waiting(BaseTrigger):
    """Fires once: when a condition holds, or when waiting for it makes no sense any more.

    What it is given is looked at when it runs: an error at its making would end Airflow's triggerer, and a
    question that cannot be asked would fail those of all others.
    """

    def __init__(self, bitrix24_conn_id: str, poke_interval: float, **asked: Any) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.bitrix24_conn_id = bitrix24_conn_id
        self.poke_interval = poke_interval
        self.asked = asked

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Give the class and its arguments; the connection by its id alone."""
        given = {"bitrix24_conn_id": self.bitrix24_conn_id, "poke_interval": self.poke_interval}
        return f"{type(self).__module__}.{type(self).__qualname__}", {**given, **self.asked}

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Wait, and give the one event."""
        try:
            question, holds = self._question()
            answer = await shown(self.bitrix24_conn_id, question, self.poke_interval, holds)
        except Bitrix24Error as error:
            yield trigger_event({FAILED: type(error).__name__, SAID: str(error)})
        else:
            yield trigger_event({FOUND: as_found(answer)})

    @abstractmethod
    def _question(self) -> tuple[Question, Callable[[Answer], bool]]:
        """Give what to ask, and which answers end the waiting."""


class Bitrix24ContactLinksTrigger(_Waiting):
    """Wait until the contact links of an owner are as a condition says.

    Its event is ``{"found": {"contact_ids": […], "primary_id": n or None}}``, or ``{"failed": name of an
    error, "said": its words}``.

    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``.
    :param kind: ``lead`` or ``deal``.
    :param owner_id: Its id.
    :param poke_interval: Seconds between two looks, at least 1.
    :param has: Ids of contacts; see :class:`~airflow_bitrix.core.link_conditions.LinkCondition`. Likewise
        ``lacks``, ``exactly`` and ``primary``.
    """

    def __init__(
        self,
        *,
        bitrix24_conn_id: str,
        kind: OwnerKind,
        owner_id: int,
        poke_interval: float,
        has: Sequence[int] | None = None,
        lacks: Sequence[int] | None = None,
        exactly: Sequence[int] | None = None,
        primary: int | None = None,
    ) -> None:
        asked: dict[str, Any] = {"has": has, "lacks": lacks, "exactly": exactly, "primary": primary}
        super().__init__(bitrix24_conn_id, poke_interval, kind=kind, owner_id=owner_id, **asked)
        self.kind, self.owner_id, self.condition = kind, owner_id, asked

    def _question(self) -> tuple[Question, Callable[[Answer], bool]]:
        owner = Owner(owner_kind(self.kind), positive_id("owner_id", self.owner_id))
        condition = link_condition(**self.condition)
        return owner, lambda links: isinstance(links, LinkSet) and condition.holds(links)


class Bitrix24RecordsTrigger(_Waiting):
    """Wait until so many records of a kind match a filter.

    Its event is ``{"found": n}``, or ``{"failed": name of an error, "said": its words}``.

    :param bitrix24_conn_id: Id of a connection of type ``bitrix24``.
    :param kind: A kind of records, such as ``lead``, ``contact`` or ``dynamic_1036``.
    :param filter: A ``crm.item.list`` filter that was checked: the portal ignores a field that it does not
        know.
    :param poke_interval: Seconds between two looks, at least 1.
    :param at_least: How many rows there are to be; ``None`` leaves it open. Likewise ``at_most``.
    """

    def __init__(
        self,
        *,
        bitrix24_conn_id: str,
        kind: EntityKind,
        filter: Mapping[str, Any],  # noqa: A002 (the portal's own word for it)
        poke_interval: float,
        at_least: int | None = None,
        at_most: int | None = None,
    ) -> None:
        numbers = {"at_least": at_least, "at_most": at_most}
        super().__init__(bitrix24_conn_id, poke_interval, kind=kind, filter=dict(filter), **numbers)
        self.kind, self.filter, self.numbers = kind, dict(filter), numbers

    def _question(self) -> tuple[Question, Callable[[Answer], bool]]:
        check_form(self.filter)
        count = RowCount.of(entity_kind(self.kind), self.filter)
        condition = CountCondition(**self.numbers)
        return count, lambda found: isinstance(found, int) and condition.holds(found)
