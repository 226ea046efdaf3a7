"""Waiting for records: until so many of them match a filter.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Unpack, cast

from airflow.sdk import XComArg
from airflow.triggers.base import BaseTrigger

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import EntityKind, entity_kind
from airflow_bitrix.core.row_counts import CountCondition
from airflow_bitrix.crm.filter_checks import check_form, checked_filter
from airflow_bitrix.crm.questions import Question, RowCount
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.parameters import is_open, optional_count
from airflow_bitrix.operators.shared.task_arguments import WaitingArguments
from airflow_bitrix.sensors.waiting import Bitrix24Sensor
from airflow_bitrix.triggers.shared_looks import Answer
from airflow_bitrix.triggers.waiting import Bitrix24RecordsTrigger

__all__ = ["Bitrix24RecordsSensor"]


class Bitrix24RecordsSensor(Bitrix24Sensor):
    """Wait until so many records of a kind match a filter, and give their number.

    They are counted by the portal, among what the webhook's user may read; none is read.

    :param kind: A kind of records, such as ``lead``, ``contact`` or ``dynamic_1036``. (templated)
    :param filter: A ``crm.item.list`` filter, camelCase names; ``None`` for all. An unknown field is refused.
        (templated)
    :param at_least: How many there have to be; ``None`` for 1, or for no limit where ``at_most`` is given.
        (templated)
    :param at_most: How many there may be, 0 for none at all; ``None`` for no limit. (templated)
    :raises InvalidInput: A parameter that cannot be right.
    """

    template_fields: Sequence[str] = (
        *Bitrix24Sensor.template_fields,
        "kind",
        "filter",
        "at_least",
        "at_most",
    )

    def __init__(
        self,
        *,
        kind: str = "lead",
        filter: Mapping[str, Any] | str | XComArg | None = None,  # noqa: A002 (the portal's own word for it)
        at_least: int | str | XComArg | None = None,
        at_most: int | str | XComArg | None = None,
        **kwargs: Unpack[WaitingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.filter = filter
        self.at_least = at_least
        self.at_most = at_most
        check_constants(
            self,
            ("kind", self._kind),
            ("filter", self._wanted),
            ("at_least at_most", self._condition),
        )

    def _kind(self) -> EntityKind:
        return entity_kind(self.kind)

    def _wanted(self) -> Mapping[str, Any]:
        wanted = cast("Mapping[str, Any]", {} if is_open(self.filter) else self.filter)
        check_form(wanted)
        return wanted

    def _condition(self) -> CountCondition:
        return CountCondition(
            optional_count("at_least", self.at_least), optional_count("at_most", self.at_most)
        )

    async def question(self, portal: AsyncPortal) -> Question:
        """Give the filter, once the portal has told what it takes notice of."""
        kind, condition = self._kind(), self._condition()
        wanted = await checked_filter(portal, kind, self._wanted())
        self.log.info(
            "%s",
            gettext("Waiting for {condition} among the {kinds}", condition=condition, **kind_words(kind)),
        )
        return RowCount.of(kind, wanted)

    def holds(self, answer: Answer) -> bool:
        """Whether there are as many as wanted."""
        return isinstance(answer, int) and self._condition().holds(answer)

    def trigger(self, question: Question) -> BaseTrigger:
        """Give the trigger that waits for the same number."""
        count, condition = cast("RowCount", question), self._condition()
        return Bitrix24RecordsTrigger(
            bitrix24_conn_id=self.bitrix24_conn_id,
            kind=count.kind,
            filter=json.loads(count.wanted),
            poke_interval=self.poke_interval,
            at_least=condition.at_least,
            at_most=condition.at_most,
        )
