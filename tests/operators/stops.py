"""Leads whose second contact goes, and a portal that does something in the middle of a write."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any


class Writes(deque[Any]):
    """What the portal was told to write; with the write number ``after`` something happens, once.

    The portal itself does it, in the middle of a request: whoever counts from outside is late where the
    machine is busy.
    """

    after: float = math.inf

    def __init__(self, happens: Callable[[], object] = lambda: None, after: float = math.inf) -> None:
        super().__init__()
        self._happens = happens
        self.after = after

    def append(self, write: Any) -> None:
        super().append(write)
        if len(self) > self.after:
            self.after = math.inf
            self._happens()
