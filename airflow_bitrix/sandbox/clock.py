"""Time, as one value that tests can replace."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Clock:
    """The two clocks of the sandbox: one for limits and durations, one for dates."""

    monotonic: Callable[[], float] = time.monotonic
    time: Callable[[], float] = time.time
