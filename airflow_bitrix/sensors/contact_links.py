"""Waiting for contact links: the portal tells nobody when they change, so they are looked at.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Unpack

from airflow.sdk import XComArg
from airflow.triggers.base import BaseTrigger

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.link_conditions import LinkCondition, link_condition
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind, owner_kind, positive_id
from airflow_bitrix.crm.questions import Question
from airflow_bitrix.operators.shared.constants import check_constants
from airflow_bitrix.operators.shared.task_arguments import Identifier, WaitingArguments
from airflow_bitrix.sensors.waiting import Bitrix24Sensor
from airflow_bitrix.triggers.shared_looks import Answer
from airflow_bitrix.triggers.waiting import Bitrix24ContactLinksTrigger

__all__ = ["Bitrix24ContactLinksSensor"]

Contacts = int | str | Sequence[int | str] | XComArg | None
"""Ids of contacts; templated."""


class Bitrix24ContactLinksSensor(Bitrix24Sensor):
    """Wait until the contact links of an owner are as wanted; all that is given has to hold.

    Returns ``{"contact_ids": […], "primary_id": n or None}``, in the portal's order.

    An owner that is not there, or that the webhook's user may not read, fails the task at once.

    :param kind: A kind of owners of contacts, such as ``lead`` or ``dynamic_1036``. (templated)
    :param owner_id: Its id. (templated)
    :param has: A contact that has to be linked, or a list of such; ``None`` leaves it open. (templated)
    :param lacks: A contact that may not be linked, or a list of such; ``None`` leaves it open. (templated)
    :param exactly: All contacts that have to be linked, in whatever order, and no other; an empty list for
        none at all. ``None`` leaves it open. (templated)
    :param primary: The contact that has to be the primary one, which the portal shows as the client of the
        owner; ``None`` leaves it open. (templated)
    :raises InvalidInput: A parameter that cannot be right, or a condition that can never hold.
    """

    template_fields: Sequence[str] = (
        *Bitrix24Sensor.template_fields,
        "kind",
        "owner_id",
        "has",
        "lacks",
        "exactly",
        "primary",
    )

    def __init__(
        self,
        *,
        kind: str = "lead",
        owner_id: Identifier,
        has: Contacts = None,
        lacks: Contacts = None,
        exactly: Contacts = None,
        primary: Identifier | None = None,
        **kwargs: Unpack[WaitingArguments],
    ) -> None:
        super().__init__(**kwargs)
        self.kind = kind
        self.owner_id = owner_id
        self.has = has
        self.lacks = lacks
        self.exactly = exactly
        self.primary = primary
        check_constants(
            self,
            ("kind", self._kind),
            ("kind owner_id", self._owner),
            ("has lacks exactly primary", self._condition),
        )

    def _kind(self) -> OwnerKind:
        return owner_kind(self.kind)

    def _owner(self) -> Owner:
        return Owner(self._kind(), positive_id("owner_id", self.owner_id))

    def _condition(self) -> LinkCondition:
        return link_condition(has=self.has, lacks=self.lacks, exactly=self.exactly, primary=self.primary)

    async def question(self, portal: AsyncPortal) -> Question:
        """Give the owner."""
        del portal
        owner, condition = self._owner(), self._condition()
        self.log.info("%s", gettext("Waiting until {owner} {condition}", owner=owner, condition=condition))
        return owner

    def holds(self, answer: Answer) -> bool:
        """Whether the links are so."""
        return isinstance(answer, LinkSet) and self._condition().holds(answer)

    def trigger(self, question: Question) -> BaseTrigger:
        """Give the trigger that waits for the same links."""
        del question
        owner, condition = self._owner(), self._condition()
        wanted: dict[str, Any] = {
            "has": sorted(condition.has) or None,
            "lacks": sorted(condition.lacks) or None,
            "exactly": None if condition.exactly is None else sorted(condition.exactly),
            "primary": condition.primary,
        }
        return Bitrix24ContactLinksTrigger(
            bitrix24_conn_id=self.bitrix24_conn_id,
            kind=owner.kind,
            owner_id=owner.id,
            poke_interval=self.poke_interval,
            **wanted,
        )
