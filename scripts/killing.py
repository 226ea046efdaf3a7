"""A portal that kills whoever writes to it, after so many writes: no clock decides when."""

from __future__ import annotations

import math
import os
import signal
from collections import deque
from contextlib import suppress
from typing import Any


class Writes(deque[Any]):
    """What the portal was told to write; after so much of it somebody dies.

    The portal itself kills, in the middle of a request: whoever counts from outside is late where the
    machine is busy.

    :ivar after: Writes after which the victim dies.
    :ivar victim: Its process id; 0 for nobody.
    """

    after: float = math.inf
    victim: int = 0

    def append(self, write: Any) -> None:
        """Note a write."""
        super().append(write)
        if self.victim and len(self) > self.after:
            with suppress(ProcessLookupError):
                os.kill(self.victim, signal.SIGKILL)
            self.victim = 0
