"""Who the webhook's user is: what somebody may not read looks like what is not there."""

from __future__ import annotations

from airflow_bitrix.client.portal import AsyncPortal


async def is_administrator(portal: AsyncPortal) -> bool:
    """Whether the webhook's user is an administrator, and so sees all records.

    Follows https://apidocs.bitrix24.com/api-reference/common/users/profile.html.
    """
    return bool((await portal.call("profile")).get("ADMIN"))
