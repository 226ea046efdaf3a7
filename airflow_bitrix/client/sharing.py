"""What a host leaves to others who fill the same bucket, and whom it does not know.

They are hosts that share no file, or other programs behind the same address, and are seen in refusals
alone. Between two times at which the bucket was full, it took in exactly what drained: what a host sent
meanwhile is its share, and if everybody goes on at his own, nobody is refused. So who is refused goes on at
its share, and comes up again: hardly at first, steeply at the end, so that who is alone has by then caught up
on all that it left to the others. This is the congestion control of networks, in requests.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf


@dataclass(frozen=True, slots=True)
class Reaction:
    """How a host takes a refusal that others brought about.

    :param trust: Requests that what was believed of the share before weighs as much as.
    :param cut: The part of its share that the host goes on with.
    :param pause: Requests of its share that it lets pass first.
    :param horizon: Seconds in which somebody who is alone has caught up again.
    """

    trust: float
    cut: float
    pause: float
    horizon: float


NEWCOMER = Reaction(trust=inf, cut=0.85, pause=0.42, horizon=33)
"""Refused with the first requests: the bucket was full before, and nobody knows who will go on filling it."""

FIRST = Reaction(trust=12, cut=0.85, pause=4, horizon=33)
"""Refused in the middle of the work: somebody is at work too, or left the bucket half full."""

LATER = Reaction(trust=24, cut=1.03, pause=2, horizon=132)
"""Refused again: somebody stays. Each attempt to get more costs everybody a refusal, so they become rare. The
cut makes up for the pause."""

FEW = 5
"""Requests that tell nothing yet about a share."""

LEAST = 1 / 16
"""The share that a host goes on with at least."""

STEEP = 16
"""The power of time with which a host catches up."""

MEMORY = 4
"""Horizons after which a refusal is taken for the first again."""


@dataclass(frozen=True, slots=True)
class Share:
    """What a host is left of a bucket. All times are seconds of the caller's clock.

    :param pace: Requests a second that it went on with after the last refusal; infinite where nobody else is
        known of.
    :param since: When that was.
    :param horizon: Seconds from then in which it comes up again.
    :param sent: Requests since then, or where there was none since the bucket was opened.
    :param due_at: When the next may leave.
    """

    pace: float = inf
    since: float = -inf
    horizon: float = 0.0
    sent: int = 0
    due_at: float = -inf

    @property
    def known(self) -> bool:
        """Whether others are known of."""
        return self.pace < inf

    def remembered(self, now: float) -> bool:
        """Tell whether the others may still be there."""
        return self.known and now < self.since + MEMORY * self.horizon

    def credible(self, now: float, longest: float) -> bool:
        """Tell whether this can be true, where nobody has to wait for longer than ``longest`` seconds."""
        if not self.known:
            return self.pace == inf and self.sent >= 0 and self.due_at == -inf
        soon = self.since <= now and self.due_at <= now + longest
        return soon and self.pace > 0 and FIRST.horizon <= self.horizon <= LATER.horizon and self.sent >= 0

    def opened(self, now: float) -> Share:
        """Give the share of who finds the bucket empty, by all that is known."""
        return self if self.remembered(now) else NOBODY_ELSE

    def taken(self, now: float, rate: float) -> Share:
        """Count a request that leaves."""
        if not self.known:
            return replace(self, sent=self.sent + 1)
        # Who had nothing to send learns nothing of his share meanwhile, and is left no more of it.
        idle = max(now - self.due_at - 1 / rate, 0.0)
        since = min(self.since + idle, now)
        due_at = now + 1 / self._risen((now - since) / self.horizon, rate)
        return replace(self, since=since, sent=self.sent + 1, due_at=due_at)

    def _risen(self, part: float, rate: float) -> float:
        """Give the requests a second that it may make after a part of its horizon."""
        return self.pace + max(rate - self.pace, 0.0) * STEEP * part ** (STEEP - 1)

    def refused(self, now: float, *, rate: float, burst: float, opened_at: float) -> Share:
        """Give what is left by others, who have filled the bucket.

        :param rate: Requests a second that drain from it.
        :param burst: Requests that it holds.
        :param opened_at: When the first request went into it after it had last run empty.
        """
        sent = max(self.sent - 1, 0)  # the last one was not taken in
        if self.known:
            how = LATER if self.remembered(now) else FIRST
            before, taken_in = min(self.pace / rate, 1.0), rate * (now - self.since)
        else:
            how = FIRST if sent > FEW else NEWCOMER
            before, taken_in = 0.5, burst + rate * (now - opened_at)
        part = before if how.trust == inf else (sent + how.trust * before) / (taken_in + how.trust)
        pace = max(how.cut * min(part, 1.0), LEAST) * rate
        return Share(pace, now, how.horizon, 0, now + how.pause / pace)


NOBODY_ELSE = Share()
"""The share of who knows of nobody else."""
