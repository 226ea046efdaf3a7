"""Reading the links of one owner as exactly as the portal tells them.

Where there are link methods, ``items.get`` tells sorts, flags and roles. Items of smart processes and
invoices have none: what their card shows is all that there is to know.

Follows https://apidocs.bitrix24.com/api-reference/crm/universal/crm-item-get.html.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_bitrix.core import methods
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.link_writes import Command
from airflow_bitrix.core.links import LinkSet, Owner, OwnerKind
from airflow_bitrix.core.owner_states import state_of

ITEM_GET = "crm.item.get"


def exact_method(kind: OwnerKind) -> str:
    """Give the REST name of the method that reads the links of an owner."""
    return ITEM_GET if family_of(kind).is_saved else methods.name(kind, "items.get")


def exact_command(owner: Owner) -> Command:
    """Give the command that reads the links of an owner."""
    if (family := family_of(owner.kind)).is_saved:
        return ITEM_GET, {"entityTypeId": family.entity_type_id, "id": owner.id}
    return methods.name(owner.kind, "items.get"), methods.items_get(owner.id)


def exact_links(owner: Owner, result: object) -> LinkSet:
    """Read what that command answers.

    :raises Bitrix24Error: It tells no links, or those of another owner.
    """
    if not family_of(owner.kind).is_saved:
        return methods.links_of(owner, result)
    row = result.get("item") if isinstance(result, Mapping) else None
    state = state_of(owner.kind, row) if isinstance(row, Mapping) else None
    if state is None or not state.links_known or state.owner != owner:
        text = gettext(
            "{method} ({owner}): the portal answered no list of links", method=ITEM_GET, owner=owner
        )
        raise Bitrix24Error(text, method=ITEM_GET, owner=str(owner))
    return state.links
