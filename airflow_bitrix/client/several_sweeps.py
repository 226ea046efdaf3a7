"""Several sweeps at once, whose requests are shared: none of them leaves room while another has to ask."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Generic

from airflow_bitrix.client.id_sweep import Ask, Row, Sweep
from airflow_bitrix.client.wire import Answer


@dataclass(frozen=True, slots=True)
class SharedAsk(Ask):
    """A request of several sweeps.

    :param parts: Whose calls it holds, in their order.
    """

    parts: Sequence[tuple[int, Ask]] = ()


class SeveralSweeps(Generic[Row]):
    """What several sweeps ask for together, and what they may give by now.

    :param sweeps: They; the rows of each come as it would give them alone.
    """

    def __init__(self, sweeps: Sequence[Sweep[Row]]) -> None:
        self._sweeps = sweeps

    @property
    def done(self) -> bool:
        """Whether every row of each is given."""
        return all(sweep.done for sweep in self._sweeps)

    def next(self, size: int) -> Ask | None:
        """Give the next request, ``None`` while it is better to wait for those under way.

        :param size: Commands that it may hold.
        """
        parts: list[tuple[int, Ask]] = []
        asking = [place for place, sweep in enumerate(self._sweeps) if not sweep.done]
        while asking and size:
            left = []
            for more, place in zip(range(len(asking), 0, -1), asking, strict=True):
                if (share := -(-size // more)) and (ask := self._sweeps[place].next(share)):
                    parts.append((place, ask))
                    size -= min(len(ask.calls), size)
                    left.append(place)
            asking = left
        calls = [call for _, ask in parts for call in ask.calls]
        return SharedAsk((), calls, parts) if parts else None

    def take(self, ask: Ask, answers: Sequence[Answer]) -> None:
        """Take what a request found; see :meth:`.Sweep.take`."""
        at = 0
        for place, part in ask.parts if isinstance(ask, SharedAsk) else ():
            self._sweeps[place].take(part, answers[at : at + len(part.calls)])
            at += len(part.calls)

    def pages(self) -> Iterator[list[Row]]:
        """Give the pages that may be given by now."""
        for sweep in self._sweeps:
            yield from sweep.pages()
