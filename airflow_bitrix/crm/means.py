"""Phones and e-mails of leads.

Follows https://apidocs.bitrix24.com/api-reference/crm/leads/crm-lead-list.html: no list of ``crm.item.*``
tells them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from typing import Any

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.row_pages import PAGE, id_in
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.contacts import Means, means_of
from airflow_bitrix.core.links import Owner
from airflow_bitrix.crm.pages import pages

METHOD = "crm.lead.list"


async def read_means(
    portal: AsyncPortal, leads: Sequence[Owner], phone: Callable[[str], str] | None = None
) -> dict[Owner, Means]:
    """Give the phones and e-mails of leads, 2,500 a request; those that are gone are left out.

    A repeat lead keeps its phones and e-mails, although its card hides them.

    :param phone: What brings phones into one form, see :func:`~airflow_bitrix.core.contacts.means_of`.
    """
    ids = [lead.id for lead in leads]
    calls = (_by_ids(ids[at : at + PAGE]) for at in range(0, len(ids), PAGE))

    def read(row: Mapping[str, Any]) -> tuple[Owner, Means]:
        return Owner("lead", id_in(METHOD, "ID", row)), means_of(METHOD, row, phone)

    found: dict[Owner, Means] = {}
    async with aclosing(pages(portal, calls, read)) as read_pages:
        async for page in read_pages:
            found |= dict(page)
    return found


def _by_ids(ids: Sequence[int]) -> Call:
    order, select = {"ID": "ASC"}, ["ID", "PHONE", "EMAIL"]
    return Call(METHOD, {"filter": {"@ID": list(ids)}, "select": select, "order": order, "start": 0})
