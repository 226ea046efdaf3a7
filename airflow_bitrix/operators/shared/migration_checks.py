"""What a migration asks the portals before it begins: whether it could do damage there."""

from __future__ import annotations

from collections.abc import Iterable

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.crm.contacts import missing_contacts
from airflow_bitrix.crm.users import is_administrator

MOST_MISSING = 10
"""Contacts that an error names."""


async def check_source_is_seen(source: AsyncPortal, conn_id: str) -> None:
    """Refuse to remove links that the source may have, and its user does not see.

    :raises PlanRefused: The user is no administrator.
    """
    if not await is_administrator(source):
        raise PlanRefused(
            f"source_conn_id: the user of {conn_id!r} is no administrator, and may not see all that the "
            "source has; use an administrator's webhook there, or extra='keep'"
        )


async def check_deals_are_seen(portal: AsyncPortal) -> None:
    """Refuse to take from leads what deals may lack that the user does not see.

    :raises PlanRefused: The user is no administrator.
    """
    if not await is_administrator(portal):
        raise PlanRefused(
            "the webhook's user is no administrator, and may not see all deals of a lead; use an "
            "administrator's webhook, or say believe_any_user=True"
        )


async def check_new_contacts(portal: AsyncPortal, contact_ids: Iterable[int]) -> None:
    """Refuse a map to contacts that are not there: an administrator's webhook would link them.

    :raises InvalidInput: Names the first of them.
    """
    missing = sorted(await missing_contacts(portal, set(contact_ids)))
    if missing:
        more = f" and {len(missing) - MOST_MISSING:,} more" if len(missing) > MOST_MISSING else ""
        shown = ", ".join(map(str, missing[:MOST_MISSING])) + more
        raise InvalidInput("contact_map", shown, "new contacts that are there, and that the user may read")
