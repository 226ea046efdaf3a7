"""Who the webhook's user is: what somebody may not read looks like what is not there."""

from __future__ import annotations

from collections.abc import Mapping

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.errors import Bitrix24Error


async def is_administrator(portal: AsyncPortal) -> bool:
    """Whether the webhook's user is an administrator, and so sees all records.

    Follows https://apidocs.bitrix24.com/api-reference/common/users/profile.html.

    :raises Bitrix24Error: The portal does not tell.
    """
    profile = await portal.call("profile")
    if not isinstance(profile, Mapping) or not isinstance(profile.get("ADMIN"), (int, type(None))):
        raise Bitrix24Error("profile: the portal does not tell who the webhook's user is", method="profile")
    return bool(profile.get("ADMIN"))
