"""Being told to stop in the middle of the work: nothing more is sent, what is under way is awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from airflow_bitrix.core.languages import gettext

T = TypeVar("T")


class ToldToStopError(Exception):
    """The work was told to stop.

    No error of the portal, and so none that a batch would keep as the outcome of its commands.
    """

    def __init__(self) -> None:
        super().__init__(gettext("the task was told to stop, and sent nothing more"))


@dataclass(slots=True, eq=False)
class Stop:
    """Whether some work was told to stop.

    No request leaves from then on. With a ``grace``, those that only look still do: what was under way is to
    be accounted for.

    :param grace: Seconds after which work on an event loop is cancelled, with the requests under way.
    """

    grace: float = 0.0
    told: bool = False
    _end: Callable[[], object] | None = field(default=None, init=False, repr=False)

    def tell(self) -> None:
        """Tell it to stop. A signal handler may do so, in the middle of anything, and another thread."""
        if not self.told:
            self.told = True
            if self._end:
                self._end()

    def check(self, *, once: bool) -> None:
        """Ask right before a request leaves.

        :param once: Whether the request is made once only, as the writes of an apply are.
        :raises ToldToStopError: It may not.
        """
        if self.told and (once or not self.grace):
            raise ToldToStopError

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine on an event loop of its own, as ``asyncio.run`` does, for as long as it may.

        :raises ToldToStopError: It was told to stop, and did not end within the grace.
        """
        try:
            return asyncio.run(self._until_told(work))
        except asyncio.CancelledError:
            if not self.told:
                raise
        raise ToldToStopError

    async def _until_told(self, work: Coroutine[Any, Any, T]) -> T:
        loop, task = asyncio.get_running_loop(), asyncio.current_task()

        def end() -> None:
            # Wakes the loop too, which goes on waiting for the network after a signal.
            loop.call_soon_threadsafe(loop.call_later, self.grace, task.cancel)  # type: ignore[union-attr]

        self._end = end
        if self.told:
            end()
        try:
            return await work
        finally:
            self._end = None
