"""What is asked again and again while somebody waits; questions of many go together.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from airflow_bitrix.client.outcomes import CommandOutcome
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import total_of
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.errors import Bitrix24Error, Rejected, RetryLater
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.links import EntityKind, LinkSet, Owner, OwnerKind
from airflow_bitrix.crm.owner_reads import OwnerReads, Seen


@dataclass(frozen=True, slots=True)
class RowCount:
    """How many rows a ``crm.item.list`` filter matches.

    :param kind: ``lead``, ``deal`` or ``contact``.
    :param wanted: The filter as JSON text, so that the same questions are one.
    """

    kind: EntityKind
    wanted: str

    @classmethod
    def of(cls, kind: EntityKind, wanted: Mapping[str, Any]) -> RowCount:
        """Ask by a filter that was checked."""
        return cls(kind, json.dumps(wanted, sort_keys=True))

    @property
    def call(self) -> Call:
        """The call that tells the number, and as little as may be beside it."""
        params = {"entityTypeId": family_of(self.kind).entity_type_id, "select": ["id"], "start": 0}
        wanted = json.loads(self.wanted)
        return Call("crm.item.list", {**params, **({"filter": wanted} if wanted else {})})


Question = Owner | RowCount
"""An owner asks for its contact links, by ids and primary."""

Told = LinkSet | int | Bitrix24Error
"""The answer; or why there is none: ``RetryLater`` is no answer yet, any other error would come again."""


async def ask(portal: AsyncPortal, questions: Iterable[Question]) -> dict[Question, Told]:
    """Answer any number of questions: links of 2,500 owners a request, or 50 counts, or some of each.

    :raises RetryLater: The portal answers nothing now.
    :raises AuthFailed: It does not accept the webhook.
    """
    asked = dict.fromkeys(questions)
    owners: dict[OwnerKind, list[int]] = {}
    for one in asked:
        if isinstance(one, Owner):
            owners.setdefault(one.kind, []).append(one.id)
    counts = [one for one in asked if isinstance(one, RowCount)]
    reads = {kind: OwnerReads(portal, kind) for kind in owners}
    looks = {kind: read.calls(owners[kind]) for kind, read in reads.items()}
    outcomes = iter(
        await portal.batch(
            [*(call for some in looks.values() for call in some), *(one.call for one in counts)]
        )
    )
    told: dict[Question, Told] = {}
    for kind, calls in looks.items():
        seen = await reads[kind].read([next(outcomes) for _ in calls])
        told |= {owner: _links(owner, seen) for owner in (Owner(kind, one) for one in owners[kind])}
    return told | {one: _count(outcome) for one, outcome in zip(counts, outcomes, strict=True)}


def _links(owner: Owner, seen: Seen) -> LinkSet | Bitrix24Error:
    if state := seen.states.get(owner.id):
        return state.links
    said = seen.missing(owner)
    is_unread = seen.later or owner.id in seen.unseen
    return RetryLater(said, owner=str(owner)) if is_unread else Rejected(said, owner=str(owner))


def _count(outcome: CommandOutcome) -> int | Bitrix24Error:
    try:
        return total_of(outcome.call.method, outcome.answered)
    except Bitrix24Error as error:
        return error
