"""Airflow's ``execution_timeout`` while an event loop works."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from airflow_bitrix.client.stopping import Stop


@contextmanager
def timeout_stops(stop: Stop) -> Iterator[None]:
    """Let an ``execution_timeout`` tell the work to stop, and raise once the work has ended.

    Airflow raises in its handler of SIGALRM, wherever the interpreter is just then. In a callback of the
    event loop that error would be lost, with the timeout; elsewhere it would cut off what is under way.
    """
    handler: Any = signal.getsignal(signal.SIGALRM)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield
        return
    over = False

    def tell(*_: object) -> None:
        nonlocal over
        over = True
        stop.tell()

    signal.signal(signal.SIGALRM, tell)
    try:
        yield
    finally:
        signal.signal(signal.SIGALRM, handler)
        if over:
            handler(signal.SIGALRM, None)
