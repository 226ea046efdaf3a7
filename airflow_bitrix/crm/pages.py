"""Single pages of lists: each complete, or asked for again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from typing import Any, TypeVar

from airflow_bitrix.client.outcomes import CommandOutcome
from airflow_bitrix.client.portal import AsyncPortal, Calls
from airflow_bitrix.client.row_pages import OddAnswer, Tries, page_of

T = TypeVar("T")

Read = Callable[[Mapping[str, Any]], T]
"""Reads a row; raises a :class:`Bitrix24Error` for one that it cannot read."""


async def pages(portal: AsyncPortal, calls: Calls, read: Read[T]) -> AsyncGenerator[list[T], None]:
    """Give what each of some pages holds, in the order of the calls, 50 pages a request.

    :param calls: Calls of list methods, in order of id and with the number of rows (``start: 0``).
    :raises OddAnswer: A page cannot be right, and came so each time.
    """
    async with aclosing(portal.stream(calls)) as outcomes:
        async for outcome in outcomes:
            yield await page_in(portal, outcome, read)


async def page_in(portal: AsyncPortal, outcome: CommandOutcome, read: Read[T]) -> list[T]:
    """Give what the page holds that an outcome brought; where it cannot be right it is asked for again.

    :raises OddAnswer: It came so each time.
    :raises Bitrix24Error: The portal did not give it.
    """
    tries = Tries()
    while True:
        try:
            return page_of(outcome.call, outcome.answered, read)
        except OddAnswer as error:
            tries.again(outcome.call.method, error)
        [outcome] = await portal.run_batch([outcome.call])
