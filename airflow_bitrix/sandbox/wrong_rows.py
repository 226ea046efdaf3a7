"""Pages that are not what was asked for: what overloaded portals and proxies make of the rows of a list.

Each kind changes the rows of one page just before it is answered, alone or as a command of a batch.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox.calls import Answer

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    Rows = list[dict[str, Any]]
    Change = Callable[[Rows, random.Random], Any]


def is_list(method: str) -> bool:
    """Whether a method answers pages of rows."""
    return method.endswith(".list") or method == "user.get"


def _one(change: Callable[[dict[str, Any]], Any]) -> Change:
    """Change one row of a page."""

    def changed(rows: Rows, luck: random.Random) -> Any:
        at = luck.randrange(len(rows))
        return [*rows[:at], change(rows[at]), *rows[at + 1 :]]

    return changed


def _set(value: Any, *names: str, every: bool = False) -> Change:
    """Set the fields of these names, as far as a row has them, in one row or in all."""

    def change(row: dict[str, Any]) -> dict[str, Any]:
        return {name: value(held) if name in names else held for name, held in row.items()}

    return (lambda rows, _: list(map(change, rows))) if every else _one(change)


def _without(*names: str) -> Change:
    return _one(lambda row: {name: held for name, held in row.items() if name not in names})


def _shorter(rows: Rows, luck: random.Random) -> Rows:
    at = luck.randrange(len(rows))
    return rows[:at] + rows[at + 1 :]


def _moved(by: int) -> Change:
    """Give rows the ids of others, which were not asked for."""

    def change(row: dict[str, Any]) -> dict[str, Any]:
        return {
            name: type(held)(max(int(held) + by, 1)) if name in _IDS else held for name, held in row.items()
        }

    return lambda rows, _: list(map(change, rows))


_IDS = ("id", "ID")
_LINKS = ("contactIds", "companyIds")
_STAGES = ("stageId", "STATUS_ID", "STAGE_ID")
_DATES = ("createdTime", "DATE_CREATE")

KINDS: Mapping[str, Change] = {
    "short_page": lambda rows, _: rows[:-1],
    "row_missing": _shorter,
    "rows_missing": lambda rows, _: rows[: len(rows) // 2],
    "no_rows": lambda _rows, _luck: [],
    "page_too_long": lambda rows, _: [*rows, rows[-1]],
    "rows_twice": lambda rows, _: [*rows[: len(rows) // 2], *rows][: len(rows)],
    "row_twice": lambda rows, _: [rows[0], *rows[:-1]],
    "rows_reversed": lambda rows, _: rows[::-1],
    "rows_shuffled": lambda rows, luck: luck.sample(rows, len(rows)),
    "rows_further_on": _moved(1000),
    "rows_further_back": _moved(-1000),
    "row_excluded": _set(lambda _: "ELSEWHERE", *_STAGES),
    "row_too_old": _set(lambda _: "1999-01-01T00:00:00+03:00", *_DATES),
    "row_null": _one(lambda _: None),
    "row_text": _one(lambda _: "row"),
    "row_list": _one(lambda row: list(row.values())),
    "row_empty": _one(lambda _: {}),
    "page_null": lambda _rows, _luck: None,
    "page_text": lambda _rows, _luck: "",
    "page_true": lambda _rows, _luck: True,
    "page_dict": lambda rows, _: {str(at): row for at, row in enumerate(rows, 1)},
    "id_missing": _without(*_IDS),
    "id_text": _set(str, *_IDS, every=True),
    "id_null": _set(lambda _: None, *_IDS),
    "id_zero": _set(lambda _: 0, *_IDS),
    "id_float": _set(lambda held: int(held) + 0.5, *_IDS),
    "id_words": _set(lambda held: f"{held}abc", *_IDS),
    "contact_ids_missing": _without(*_LINKS),
    "contact_ids_null": _set(lambda _: None, *_LINKS, every=True),
    "contact_ids_text": _set(lambda held: ",".join(map(str, held)), *_LINKS, every=True),
    "contact_ids_strings": _set(lambda held: list(map(str, held)), *_LINKS, every=True),
    "contact_ids_dict": _set(lambda held: {str(at): one for at, one in enumerate(held)}, *_LINKS, every=True),
    "contact_ids_nulls": _set(lambda held: [None for _ in held], *_LINKS, every=True),
    "contact_id_words": _set(lambda _: "nobody", "contactId", "CONTACT_ID"),
    "stage_dict": _set(lambda held: {"id": held}, *_STAGES),
    "flag_words": _set(lambda _: "maybe", "isReturnCustomer"),
    "field_missing": _without("companyId", "COMPANY_ID"),
}
"""What may become of the rows of a page, by name."""

BESIDE: Mapping[str, Callable[[Answer], Answer]] = {
    "total_missing": lambda answer: replace(answer, total=None),
    "total_less": lambda answer: replace(answer, total=max((answer.total or 0) - 1, 0)),
    "total_more": lambda answer: replace(answer, total=(answer.total or 0) + 1),
    "total_words": lambda answer: replace(answer, total="many"),  # type: ignore[arg-type]
    "next_missing": lambda answer: replace(answer, next=None),
    "next_again": lambda answer: replace(answer, next=answer.next and answer.next - 50),
    "next_inside": lambda answer: replace(answer, next=answer.next and answer.next - 25),
    "next_words": lambda answer: replace(answer, next="on" if answer.next else None),  # type: ignore[arg-type]
}
"""What may become of that which stands beside the rows."""

ALL = (*KINDS, *BESIDE)


def changed(kind: str, answer: Answer, luck: random.Random) -> Answer:
    """Give a page as a fault of some kind leaves it; a page without rows stays as it is.

    :param kind: One of :data:`ALL`.
    """
    under = answer.result.get("items") if isinstance(answer.result, dict) else answer.result
    if not isinstance(under, list) or not under:
        return answer
    if kind in BESIDE:
        return BESIDE[kind](answer)
    rows = KINDS[kind](under, luck)
    return replace(answer, result={"items": rows} if isinstance(answer.result, dict) else rows)
