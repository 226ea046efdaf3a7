"""Who the webhook's user is: what somebody may not read looks like what is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.errors import Rejected
from airflow_bitrix.core.numbers import whole_number

WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class View:
    """What a webhook's user sees of a portal.

    :param name: Whose view it is, :data:`WHOLE` for that of an administrator: other users see other parts.
    :param partial: Why it may be a part only, as a person reads it; empty where it is whole.
    """

    name: str = WHOLE
    partial: str = ""


async def view_of(portal: AsyncPortal, whose: str = "the webhook's user") -> View:
    """Tell whether the webhook's user is an administrator, and so sees all records.

    Follows https://apidocs.bitrix24.com/api-reference/common/users/profile.html. Where the portal does not
    tell, the view is taken for a partial one.

    :param whose: Whom the sentence is about.
    """
    why = "profile names no user"
    try:
        profile = await portal.call("profile")
    except Rejected as error:
        profile, why = None, str(error)
    is_told = isinstance(profile, Mapping) and isinstance(profile.get("ADMIN"), (int, type(None)))
    if not is_told:
        text = f"whether {whose} may see all of the portal cannot be told ({why})"
        return View(_NOT_KNOWN, f"{text}: {_UNSEEN}")
    if profile.get("ADMIN"):
        return View()
    text = f"{whose} is no administrator, and may see a part of the portal only"
    user = whole_number(str(profile.get("ID")))
    return View(_NOT_KNOWN if user is None else f"that of user {user}", f"{text}: {_UNSEEN}")


_NOT_KNOWN = "that of a user who is not known"
_UNSEEN = "what is not seen is not looked at, and not counted"
