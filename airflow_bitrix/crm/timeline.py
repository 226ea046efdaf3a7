"""Comments on the timelines of owners: making one, and finding it again.

Follows https://apidocs.bitrix24.com/api-reference/crm/timeline/comments/index.html.
"""

from __future__ import annotations

from collections.abc import Mapping

from airflow_bitrix.client.outcomes import CommandOutcome
from airflow_bitrix.client.wire import Call
from airflow_bitrix.core.links import Owner

ADD, LIST = "crm.timeline.comment.add", "crm.timeline.comment.list"


def comment_call(owner: Owner, text: str) -> Call:
    """Give the call that makes a comment, ``crm.timeline.comment.add``. It makes one each time."""
    return Call(ADD, {"fields": {**_on(owner), "COMMENT": text}})


def look_call(owner: Owner) -> Call:
    """Give the call that reads the last fifty comments on an owner, ``crm.timeline.comment.list``."""
    return Call(LIST, {"filter": _on(owner), "select": ["ID", "COMMENT"], "order": {"ID": "DESC"}})


def bears(look: CommandOutcome, mark: str) -> bool | None:
    """Whether one of the comments that a look found has a mark in it; ``None`` where the look failed."""
    rows = look.answer.result if look.answer else None
    if not isinstance(rows, list):
        return None
    texts = (row.get("COMMENT") for row in rows if isinstance(row, Mapping))
    return any(isinstance(text, str) and mark in text for text in texts)


def _on(owner: Owner) -> dict[str, object]:
    return {"ENTITY_ID": owner.id, "ENTITY_TYPE": owner.kind}
