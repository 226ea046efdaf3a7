"""Companies as their cards show them.

Follows https://apidocs.bitrix24.com/api-reference/crm/companies/contacts/crm-company-contact-items-get.html.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.contacts import Company
from airflow_bitrix.core.errors import Bitrix24Error, Rejected
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.numbers import told_id

METHOD = "crm.company.contact.items.get"


async def read_companies(portal: AsyncPortal, ids: Sequence[int]) -> dict[int, Company]:
    """Give companies with their contacts in the order of the card, 50 a request.

    The card lists the contacts by their ids. The sorts that the portal tells beside them are something else:
    the place of this company among those of the contact. A company that is gone has no contacts; one that the
    user may not read is left out.

    :raises Bitrix24Error: The portal failed, or its answer names no contacts.
    """
    found: dict[int, Company] = {}
    async with aclosing(portal.stream(Call(METHOD, {"id": one}) for one in ids)) as outcomes:
        at = iter(ids)
        async for outcome in outcomes:
            company_id = next(at)
            if isinstance(outcome.error, Rejected):
                continue
            rows = outcome.answered.result
            told = [told_id(row.get("CONTACT_ID")) for row in rows if isinstance(row, dict)] if rows else []
            if not isinstance(rows, list) or len(told) < len(rows) or not all(told):
                raise Bitrix24Error(
                    gettext("{method}: the portal answered no list of contacts", method=METHOD), method=METHOD
                )
            found[company_id] = Company(company_id, tuple(sorted(one for one in told if one)))
    return found
