"""One asker for all triggers that wait for something on the same portal: their questions go together.

A thousand tasks that wait for the links of a thousand owners cost one request each time that they look.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

from asgiref.sync import sync_to_async

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.client.portal import AsyncPortal
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.links import LinkSet
from airflow_bitrix.crm.questions import Question, Told, ask
from airflow_bitrix.hooks.opening import opened_async

log = logging.getLogger(__name__)

SHORTEST = 1.0
"""Seconds between two looks, at least."""

EARLY = 0.1
"""Part of its interval by which a question goes along with others before its own time."""

_RETRIES = Retries(times=1)
"""The next look comes anyway."""

Answer = LinkSet | int


@dataclass(eq=False, slots=True)
class _Waiter:
    """A trigger that waits.

    :param due: When its question is asked next, by the loop's clock.
    :param context: That of the trigger: what is logged in it, Airflow shows in the task's log.
    :param troubled: Whether the trigger was told that the portal cannot be asked now.
    """

    question: Question
    interval: float
    holds: Callable[[Answer], bool]
    due: float
    answer: asyncio.Future[Answer]
    context: contextvars.Context = field(default_factory=contextvars.copy_context)
    troubled: bool = False

    def take(self, told: Told) -> None:
        """Take what the portal told of its question."""
        if self.answer.done():
            return
        if isinstance(told, RetryLater):
            self.tell_trouble(told)
        elif isinstance(told, Exception):
            self.answer.set_exception(told)
        else:
            self.troubled = False
            if self.holds(told):
                self.answer.set_result(told)

    def tell_trouble(self, error: RetryLater) -> None:
        """Say once, until there is an answer again, why there is none."""
        if not self.troubled:
            said = gettext("Nothing is known now, and waiting goes on: {error}", error=error)
            self.context.run(log.warning, "%s", said)
        self.troubled = True


class SharedLooks:
    """Asks the portal of one connection for all who wait in an event loop.

    Looks are made at whole multiples of each interval by the loop's clock, so those of equal intervals fall
    together whenever they began. It works while somebody waits; the connection is read when it begins.

    :param conn_id: Id of a connection of type ``bitrix24``.
    """

    def __init__(self, conn_id: str) -> None:
        self._conn_id = conn_id
        self._waiters: set[_Waiter] = set()
        self._changed = asyncio.Event()
        self._work: asyncio.Task[None] | None = None

    @property
    def is_idle(self) -> bool:
        """Whether nobody waits."""
        return not self._waiters

    async def until(self, question: Question, interval: float, holds: Callable[[Answer], bool]) -> Answer:
        """Ask again and again until an answer is as it should be, and give it.

        :param question: What to ask.
        :param interval: Seconds between two looks, 1 at least.
        :param holds: Whether an answer is as it should be.
        :raises Bitrix24Error: What would come again: the connection cannot be right, or the portal refuses.
        """
        loop = asyncio.get_running_loop()
        interval = max(interval, SHORTEST)
        due = _next_beat(loop.time(), interval)
        waiter = _Waiter(question, interval, holds, due, loop.create_future())
        self._waiters.add(waiter)
        self._changed.set()
        if self._work is None or self._work.done():
            # In a context of its own: that of the first trigger is not that of the others.
            self._work = loop.create_task(self._look_again_and_again(), context=contextvars.Context())
        try:
            return await waiter.answer
        finally:
            self._waiters.discard(waiter)
            if self.is_idle:
                self._work.cancel()

    async def _look_again_and_again(self) -> None:
        try:
            hook = await sync_to_async(opened_async)(self._conn_id)
            hook.retries = _RETRIES
            async with hook.portal() as portal:
                while True:
                    due = await self._due()
                    told = await _answers(portal, due)
                    for waiter in due:
                        waiter.take(told[waiter.question])
                    # Each trigger gets its turn before the next look.
                    await asyncio.sleep(0)
        except Exception as error:  # noqa: BLE001 (whoever waits raises it)
            for waiter in self._waiters:
                if not waiter.answer.done():
                    waiter.answer.set_exception(error)

    async def _due(self) -> list[_Waiter]:
        """Wait for the next look, give those whose question it asks, and note when theirs comes again."""
        clock = asyncio.get_running_loop().time
        while (wait := min(one.due for one in self._waiters) - clock()) > 0:
            self._changed.clear()
            try:
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            except TimeoutError:
                break
        now = clock()
        due = [one for one in self._waiters if one.due <= now + one.interval * EARLY]
        for one in due:
            one.due = _next_beat(now + one.interval * EARLY, one.interval)
        return due


async def _answers(portal: AsyncPortal, waiters: Iterable[_Waiter]) -> Mapping[Question, Told]:
    asked = {waiter.question for waiter in waiters}
    try:
        return await ask(portal, asked)
    except RetryLater as error:
        return dict.fromkeys(asked, error)


def _next_beat(now: float, interval: float) -> float:
    return (math.floor(now / interval) + 1) * interval


_LOOKS: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, SharedLooks]] = WeakKeyDictionary()


async def shown(conn_id: str, question: Question, interval: float, holds: Callable[[Answer], bool]) -> Answer:
    """Wait until the portal of a connection answers a question as it should, and give the answer.

    All who wait so in this event loop ask together; see :meth:`SharedLooks.until`.
    """
    of_loop = _LOOKS.setdefault(asyncio.get_running_loop(), {})
    looks = of_loop.setdefault(conn_id, SharedLooks(conn_id))
    try:
        return await looks.until(question, interval, holds)
    finally:
        if looks.is_idle and of_loop.get(conn_id) is looks:
            del of_loop[conn_id]
