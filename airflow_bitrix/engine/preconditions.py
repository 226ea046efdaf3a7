"""What changes count on elsewhere: contacts or companies to link, and deals that hold what a lead loses.

A plan may be a day old when it is applied. What it says of the owner itself is compared at every look; what
it counts on beside the owner is looked at once more, before the first write of some 2,500 changes.
"""

from __future__ import annotations

from collections.abc import Sequence

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.kind_words import linked_words
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.plan import Change
from airflow_bitrix.crm.contacts import missing_records
from airflow_bitrix.crm.scan import scan_ids


async def lost_preconditions(portal: AsyncPortal, changes: Sequence[Change]) -> dict[int, str]:
    """Say which changes have lost their ground, by owner id, and why.

    It takes a request for 2,500 contacts or companies that are linked anew, and one for 2,500 deals; none
    where no change counts on any.

    :param changes: All of one kind of owners.
    """
    lost: dict[int, str] = {}
    linked = {one for change in changes if not change.may_dangle for one in change.added_ids}
    gone = set()
    if linked:
        gone = await missing_records(portal, family_of(changes[0].owner.kind).linked, sorted(linked))
    deals = sorted({deal_id for change in changes for deal_id in change.kept_by})
    held = {}
    if deals:
        held = {
            state.owner.id: set(state.links.contact_ids) async for state in scan_ids(portal, "deal", deals)
        }
    for change in changes:
        if not change.may_dangle and (missing := sorted(change.added_ids & gone)):
            lost[change.owner.id] = gettext(
                "{kind} {id}, which it links, is no longer there",
                id=str(missing[0]),
                **linked_words(change.owner.kind),
            )
            continue
        taken = set(change.before.contact_ids) - set(change.after.contact_ids)
        for deal_id in change.kept_by:
            if not taken <= held.get(deal_id, set()):
                lost[change.owner.id] = gettext(
                    "deal {deal_id} no longer holds the contacts that this lead would lose",
                    deal_id=str(deal_id),
                )
                break
    return lost
