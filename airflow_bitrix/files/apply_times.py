"""When the outcomes of an apply were noted: from when to when it wrote, and how fast.

Each outcome's line in a journal tells its second; lines of older versions do not, and then nothing is known.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Self

from airflow_bitrix.files.damage import reading
from airflow_bitrix.files.journal_lines import raw_lines
from airflow_bitrix.files.json_texts import json_value

STRETCH = 5
"""Seconds that are counted together."""

LATELY = 300
"""Seconds that tell how fast it goes now: what rested before, for the night say, does not count."""

LATEST = 10**10
"""Before this unix time all of it lies."""

_AT = re.compile(rb'"at":([1-9]\d{0,9})\}\n')

_TAIL = 20
"""Bytes that a line ends with, the time among them."""


@dataclass(slots=True)
class ApplyTimes:
    """When outcomes of real runs were noted; dry runs write nothing, and do not count.

    :param first: Unix time of the first outcome, in seconds; 0 where none is known.
    :param last: That of the last one.
    :param counts: How many were noted in each stretch of :data:`STRETCH` seconds, by the time it begins.
    """

    first: int = 0
    last: int = 0
    counts: Counter[int] = field(default_factory=Counter)

    def take(self, lines: Iterable[bytes]) -> None:
        """Take lines of outcomes, each with its end."""
        # All of them at once: there are a hundred thousand, and a person waits for what they come to.
        found = list(map(int, _AT.findall(b"".join(line[-_TAIL:] for line in lines))))
        if found:
            self.first = min(self.first or found[0], *found)
            self.last = max(self.last, *found)
            self.counts.update(at - at % STRETCH for at in found)

    def add(self, other: ApplyTimes) -> Self:
        """Take what another part of the journal tells."""
        self.first = min(self.first or other.first, other.first or self.first)
        self.last = max(self.last, other.last)
        self.counts.update(other.counts)
        return self

    @property
    def busy(self) -> int:
        """Seconds from the first outcome to the last one, without rests of :data:`LATELY` and more."""
        rests = (later - earlier for earlier, later in pairwise(sorted(self.counts)))
        return self.last - self.first - sum(rest for rest in rests if rest >= LATELY)

    @property
    def rate(self) -> float | None:
        """Outcomes a second of work; ``None`` where there was too little of it to tell."""
        return self.counts.total() / self.busy if self.busy >= STRETCH else None

    @property
    def rate_lately(self) -> float | None:
        """Outcomes a second in the last :data:`LATELY` seconds ahead of the last one; ``None`` likewise."""
        since = max(self.first, self.last - LATELY)
        if self.last - since < 2 * STRETCH:
            return None
        return sum(count for at, count in self.counts.items() if at >= since) / (self.last - since)

    def bars(self, number: int) -> list[float]:
        """Give the outcomes a second in so many pieces of the time from the first to the last outcome.

        Fewer pieces where that time has not so many stretches; none where the pace is not known.
        """
        if self.rate is None:
            return []
        begin = self.first - self.first % STRETCH
        width = max(-(-(self.last + 1 - begin) // number), STRETCH)
        width += -width % STRETCH
        found = [0.0] * (-(-(self.last + 1 - begin) // width))
        for at, count in self.counts.items():
            found[(at - begin) // width] += count / width
        return found


def read_apply_times(parts: Iterable[Path]) -> ApplyTimes:
    """Read when the outcomes were noted that a journal tells of.

    :param parts: Parts of the journal; those that are not there tell nothing.
    :raises PlanRefused: A part cannot be read, or is damaged.
    """
    found = ApplyTimes()
    for path in parts:
        is_dry, real = True, list[bytes]()
        with reading(path):
            for line in raw_lines(path):
                if line.startswith(b'{"journal":') and line.endswith(b"\n"):
                    is_dry = json_value(line)["dry_run"]
                elif line.startswith(b'{"owner":') and not is_dry:
                    real.append(line)
        found.take(real)
    return found
