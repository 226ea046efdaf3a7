"""The portal's two limits: a leaky bucket of requests per source address, and operating time per method."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Final

MINUTE = 60
MINUTES_KEPT = 10
UNCOUNTED_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Plan:
    """What a tariff admits: requests drained a second, and how many may wait in the bucket."""

    rate: float
    ceiling: float


PLANS: Final[dict[str, Plan | None]] = {
    "standard": Plan(2, 50),
    "enterprise": Plan(5, 250),
    "self_hosted": None,
}


class Bucket:
    """A leaky bucket per source address. Every request is one drop, a batch as much as a single call."""

    def __init__(self, plan: Plan | None) -> None:
        self.plan = plan
        self._levels: dict[str, tuple[float, float]] = {}

    def level(self, address: str, now: float) -> float:
        """What is in the bucket of an address."""
        if self.plan is None:
            return 0.0
        level, at = self._levels.get(address, (0.0, now))
        return max(0.0, level - (now - at) * self.plan.rate)

    def admit(self, address: str, now: float, *, count_refused: bool = False) -> bool:
        """Take one request in, or refuse it."""
        if self.plan is None:
            return True
        level = self.level(address, now)
        admitted = level + 1 <= self.plan.ceiling
        if admitted or count_refused:
            self._levels[address] = (level + 1, now)
        return admitted


@dataclass(frozen=True, slots=True)
class Budget:
    """Whose operating time it is: a credential and a method."""

    credential: str
    method: str


class OperatingTime:
    """Runtime by credential and method, summed over ten buckets of a minute."""

    def __init__(self) -> None:
        self._minutes: dict[Budget, dict[int, float]] = defaultdict(dict)

    def _current(self, budget: Budget, now: float) -> dict[int, float]:
        oldest = int(now) // MINUTE - MINUTES_KEPT + 1
        kept = {minute: used for minute, used in self._minutes.get(budget, {}).items() if minute >= oldest}
        if kept:
            self._minutes[budget] = kept
        return kept

    def used(self, budget: Budget, now: float) -> float:
        """Seconds on the account."""
        return round(sum(self._current(budget, now).values()), 6)

    def reset_at(self, budget: Budget, now: float) -> int:
        """The epoch second at which the oldest minute leaves the account."""
        oldest = min(self._current(budget, now), default=int(now) // MINUTE)
        return (oldest + MINUTES_KEPT) * MINUTE

    def bill(self, budget: Budget, seconds: float, now: float) -> None:
        """Book a call; a short one costs nothing."""
        if seconds > UNCOUNTED_SECONDS:
            minute = int(now) // MINUTE
            account = self._minutes[budget]
            account[minute] = account.get(minute, 0.0) + seconds
