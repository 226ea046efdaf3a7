"""How fast a portal may be asked. Values in, values out: no clock, no sleeping, no state of its own.

Follows https://apidocs.bitrix24.com/limits.html. The portal counts requests in a leaky bucket per portal and
source address: it drains at a steady rate and refuses what would overflow it. One number models that bucket:
the time at which it will have run empty (the generic cell rate algorithm).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


_ROUNDING = 1e-6
"""Requests by which the arithmetic of clocks may be off."""


SPARE = 8
"""Requests by which the bucket is let run down after a refusal, below its brim."""


@dataclass(frozen=True, slots=True)
class Bucket:
    """A portal's leaky bucket.

    :param rate: Requests a second that drain from it.
    :param burst: Requests that it holds.
    """

    rate: float
    burst: float

    def admit(self, empty_at: float, now: float) -> tuple[float, float]:
        """Ask for one request.

        :param empty_at: When the bucket will have run empty, in seconds of the caller's clock.
        :param now: The caller's clock.
        :return: The new ``empty_at`` and 0 where the request may be sent at once; else ``empty_at`` as it
            was and the seconds to wait before asking again.
        """
        level = max(empty_at - now, 0.0) * self.rate
        if level + 1 <= self.burst + _ROUNDING:
            return max(empty_at, now) + 1 / self.rate, 0.0
        return empty_at, (level + 1 - self.burst) / self.rate

    def full(self, empty_at: float, now: float) -> float:
        """Give the ``empty_at`` of a bucket that the portal has just called full.

        It is taken as fuller than full: some portals count what they refuse, and requests that were under way
        are refused with the one that told. Who asks again at the pace of the drain keeps such a bucket full.
        """
        return max(empty_at, now + (self.burst + SPARE) / self.rate)


# One request less than the portal holds: requests do not take equally long to arrive, so two that left with
# the right distance may arrive closer together.
PLANS: Mapping[str, Bucket | None] = {
    "standard": Bucket(rate=2, burst=49),
    "enterprise": Bucket(rate=5, burst=249),
    "self_hosted": None,
}
"""The bucket of each Bitrix24 plan; a self-hosted portal has none."""


@dataclass(frozen=True, slots=True)
class Retries:
    """How often and how patiently a call is repeated.

    :param times: Repeats after the first try.
    :param first: Seconds before the first repeat; doubled for each further one.
    :param longest: Seconds that no single wait exceeds.
    """

    times: int = 6
    first: float = 0.5
    longest: float = 30.0

    def delay(self, repeat: int, luck: float) -> float:
        """Give the seconds to wait before repeat number ``repeat``, counted from 1.

        :param luck: A random number from 0 to 1, which spreads the repeats of many callers.
        """
        widest: float = min(self.longest, self.first * 2 ** (repeat - 1))
        return widest * (0.5 + luck / 2)


SLOW_BATCH = 30.0
"""Seconds; the cloud cuts a request off after 60, and with it whatever was not carried out by then."""


def batch_size(size: int, seconds: float, *, most: int) -> int:
    """Give the number of commands for the next batch.

    :param size: Commands that a batch held so far.
    :param seconds: How long the last one took.
    :param most: Commands that a batch may hold.
    :return: Half as many after a slow batch, a tenth of ``most`` more after a quick one.
    """
    if seconds > SLOW_BATCH:
        return max(size // 2, 1)
    return min(size + max(most // 10, 1), most)
