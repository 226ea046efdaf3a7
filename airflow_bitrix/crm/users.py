"""Who the webhook's user is: what somebody may not read looks like what is not there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.errors import Rejected
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.numbers import whole_number

WHOLE = "whole"


@dataclass(frozen=True, slots=True)
class View:
    """What a webhook's user sees of a portal.

    :param name: Whose view it is, :data:`WHOLE` for that of an administrator: other users see other parts.
        Snapshots are compared by it, so it is the same in each language.
    :param partial: Why it may be a part only, as a person reads it; empty where it is whole.
    """

    name: str = WHOLE
    partial: str = ""


async def view_of(portal: AsyncPortal, whose: str = "") -> View:
    """Tell whether the webhook's user is an administrator, and so sees all records.

    Follows https://apidocs.bitrix24.com/api-reference/common/users/profile.html. Where the portal does not
    tell, the view is taken for a partial one.

    :param whose: Whom the sentence is about; by default the webhook's user.
    """
    whose = whose or gettext("the webhook's user")
    why = gettext("profile names no user")
    try:
        profile = await portal.call("profile")
    except Rejected as error:
        profile, why = None, str(error)
    is_told = isinstance(profile, Mapping) and isinstance(profile.get("ADMIN"), (int, type(None)))
    if not is_told:
        text = gettext(
            "whether {whose} may see all of the portal cannot be told ({why})", whose=whose, why=why
        )
        return View(_NOT_KNOWN, f"{text}: {gettext(_UNSEEN)}")
    if profile.get("ADMIN"):
        return View()
    text = gettext("{whose} is no administrator, and may see a part of the portal only", whose=whose)
    user = whole_number(str(profile.get("ID")))
    return View(_NOT_KNOWN if user is None else f"that of user {user}", f"{text}: {gettext(_UNSEEN)}")


_NOT_KNOWN = "that of a user who is not known"
_UNSEEN = gettext_noop("what is not seen is not looked at, and not counted")
