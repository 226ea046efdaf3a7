"""The stages that there are, by the directories of a portal.

Follows https://apidocs.bitrix24.com/api-reference/crm/status/crm-status-list.html. ``crm.item.list`` takes
any text for a stage, and finds nothing for one that is none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from contextlib import aclosing

from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.links import OwnerKind

_OF_PIPELINE = re.compile(r"C(\d{1,18}):", re.IGNORECASE)


async def stages_beside(portal: AsyncPortal, kind: OwnerKind, stages: Iterable[str]) -> dict[str, str]:
    """Give the names, by id, of all stages in the directories in which some stages would stand.

    Leads have one directory, deals one for each pipeline, which the ids of its stages begin with. Each
    directory takes a request. One of a pipeline that is not there is empty.

    :raises Rejected: The portal does not tell.
    :raises Bitrix24Error: It tells what are no stages.
    """
    found: dict[str, str] = {}
    for directory in dict.fromkeys(_directory(kind, stage) for stage in stages):
        rows = portal.list("crm.status.list", {"filter": {"ENTITY_ID": directory}})
        async with aclosing(rows) as told:
            async for row in told:
                name, stage = (
                    row.get(key) if isinstance(row, Mapping) else None for key in ("NAME", "STATUS_ID")
                )
                if not isinstance(name, str) or not isinstance(stage, str):
                    text = "crm.status.list: the portal answered a row that is no stage"
                    raise Bitrix24Error(text, method="crm.status.list")
                found[stage] = name
    return found


def _directory(kind: OwnerKind, stage: str) -> str:
    if kind == "lead":
        return "STATUS"
    pipeline = _OF_PIPELINE.match(stage)
    return f"DEAL_STAGE_{pipeline[1]}" if pipeline else "DEAL_STAGE"
