"""Reading which records of a kind were saved since a moment.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-list.html.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from airflow_bitrix.client.flow import call_flow
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import PAGE, OddAnswer, Tries, page_of
from airflow_bitrix.client.wire import Answer
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import OwnerKind
from airflow_bitrix.core.numbers import told_id
from airflow_bitrix.core.saved_records import moment_of
from airflow_bitrix.crm.scan import item_list

SAVED = "updatedTime"


async def saved_since(
    portal: AsyncPortal, kind: OwnerKind, begin: datetime
) -> tuple[dict[int, datetime], datetime]:
    """Give when each record was saved that was saved at a moment or later, by id, 50 a request.

    :return: That, and when the first request began, by the portal's clock: what is saved from then on may
        be missing.
    :raises RetryLater: The portal gave pages that cannot be right, and gave them again; or nothing.
    """
    found: dict[int, datetime] = {}
    asked_at: datetime | None = None
    last = 0
    while True:
        page, answer = await _page(portal, kind, {f">={SAVED}": begin.isoformat(), ">id": last})
        asked_at = asked_at or _moment_in(answer)
        found |= page
        if len(page) < PAGE:
            return found, asked_at
        last = max(page)


async def _page(
    portal: AsyncPortal, kind: OwnerKind, wanted: Mapping[str, Any]
) -> tuple[dict[int, datetime], Answer]:
    call = item_list(kind, ["id", SAVED], wanted, "ASC")
    tries = Tries()
    while True:
        answer = await portal.run(call_flow(call, portal.manners))
        try:
            return dict(page_of(call, answer, _read)), answer
        except OddAnswer as error:
            tries.again(call.method, error)


def _read(row: Mapping[str, Any]) -> tuple[int, datetime]:
    try:
        return told_id(row["id"]) or 0, moment_of(row[SAVED])
    except (KeyError, ValueError):
        text = gettext(
            "crm.item.list: the portal answered {told} in {field}, which is no moment",
            told=repr(row.get(SAVED)),
            field=repr(SAVED),
        )
        raise Bitrix24Error(text, method="crm.item.list") from None


def _moment_in(answer: Answer) -> datetime:
    """Give when the portal began to work on a request; by this machine's clock where it does not tell."""
    told = answer.time.get("start")
    moment = told if isinstance(told, (int, float)) and 0 < told < _LATEST else time.time()
    return datetime.fromtimestamp(moment, UTC)


_LATEST = 2**35
