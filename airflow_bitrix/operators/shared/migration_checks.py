"""What a migration asks the portals before it begins: whether it could do damage there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.errors import InvalidInput, PlanRefused
from airflow_bitrix.core.families import LinkedKind
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.crm.contacts import missing_records
from airflow_bitrix.crm.users import View

MOST_MISSING = 10
"""Contacts or companies that an error names."""


def check_source_is_seen(source: View) -> None:
    """Refuse to remove links that the source may have, and its user does not see.

    :raises PlanRefused: The user is no administrator.
    """
    if source.partial:
        raise PlanRefused(
            gettext(
                "source_conn_id: links that only the target has may be in the source all the same, as "
                "{partial}; use an administrator's webhook there, or extra='keep'",
                partial=source.partial,
            )
        )


def check_deals_are_seen(partial: Sequence[str]) -> None:
    """Refuse to take from leads what deals may lack that the user does not see.

    :param partial: Why not all may be seen.
    :raises PlanRefused: The user is no administrator.
    """
    if partial:
        raise PlanRefused(
            gettext(
                "a lead may have deals that lack its contacts, as {partial}; use an administrator's "
                "webhook, or say believe_any_user=True",
                partial=partial[0],
            )
        )


async def check_new_ones(portal: AsyncPortal, linked: LinkedKind, ids: Iterable[int]) -> None:
    """Refuse a map to contacts, or companies, that are not there: an administrator's webhook would link them.

    :raises InvalidInput: Names the first of them.
    """
    missing = sorted(await missing_records(portal, linked, set(ids)))
    if missing:
        more = (
            gettext(" and {missing} more", missing=len(missing) - MOST_MISSING)
            if len(missing) > MOST_MISSING
            else ""
        )
        shown = ", ".join(map(str, missing[:MOST_MISSING])) + more
        accepted = gettext("new {kinds} that are there, and that the user may read", **kind_words(linked))
        raise InvalidInput(f"{linked}_map", shown, accepted)
