"""The list methods that can be filtered and sorted by id, and how each of them says it.

This is the one place that names them; every other list method is paged as the portal says. Their pages at
https://apidocs.bitrix24.com tell of ``>ID`` in a filter and of an order by ids, and all but that of
``crm.activity.list`` of ``start: -1``; that one is answered by the same code as the older lists of the CRM.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Direction = Literal["ASC", "DESC"]


@dataclass(frozen=True, slots=True)
class IdMethod:
    """How a list method speaks of ids.

    :param field: The id in filter, order and select.
    :param row: The id in a row.
    :param groups: Whether a filter may hold groups of conditions; elsewhere the portal would drop them.
    :param drops: Whether the portal drops a filter field that it does not know, and answers with every row.
    :param words: Whether the order is two words, ``sort`` and ``order``, in place of a map.
    :param any_case: Whether ``id`` in a filter is ``ID`` as well.
    :param beside: Parameters that may stand beside filter, select and order; ``None`` for any. ``user.get``
        takes conditions as parameters of their own, and forgets them where there is a filter;
        ``tasks.task.list`` takes the length of a page.
    """

    field: str
    row: str
    groups: bool = False
    drops: bool = False
    words: bool = False
    any_case: bool = False
    beside: frozenset[str] | None = None

    def is_id(self, name: str) -> bool:
        """Whether a name in filter, order or select is that of the id; crm.item.list knows two."""
        return name in (self.field, "ID") or (self.any_case and name.upper() == "ID")

    def order(self, direction: Direction) -> dict[str, Any]:
        """Give the parameters that ask for an order of ids."""
        return {"sort": self.field, "order": direction} if self.words else {"order": {self.field: direction}}


_RECORDS = IdMethod("ID", "ID", drops=True)

_METHODS: Mapping[str, IdMethod] = {
    **{f"crm.{kind}.list": _RECORDS for kind in ("lead", "deal", "contact", "company", "quote")},
    "crm.item.list": IdMethod("id", "id", groups=True),
    "crm.activity.list": IdMethod("ID", "ID"),
    "tasks.task.list": IdMethod("ID", "id", beside=frozenset()),
    "user.get": IdMethod(
        "ID", "ID", words=True, any_case=True, beside=frozenset({"ADMIN_MODE", "IMAGE_RESIZE", "sort"})
    ),
}


def id_method(method: str) -> IdMethod | None:
    """Give how a list method speaks of ids, ``None`` for one that cannot be listed by them."""
    return _METHODS.get(method.lower())


def fields_method(method: str) -> str:
    """Give the method that tells the fields of the records of a list method."""
    return re.sub(r"list$", "fields", method, flags=re.IGNORECASE)
