"""What some work costs: how its time grows with its input, counted in the processor's time; its memory."""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import product

_SIZES = (24, 256, 4096)
"""Signs of the texts, or so: what doubles with each sign takes long with the first, a cube with the second, a
square with the third."""

_SHORT = 0.004
"""Seconds that say nothing."""

_STEEPEST = 9.0
"""How many times longer a text four times as long may take: 4 is a line, 16 a square."""

UNITS = (
    *"/\\<>()[]{}'\"`,;:.|=+-@_~*%&#$!0aZ \t\n\r\0é\u0661",
    "<title>", "</title", "<a ", "&#", "&amp", "%2F", "\\u002f", "://", "http://", "/rest/", "/rest/1/a",
    "a.", "1,", "0 ", "a ", "::group::", "\u200b", "\x1b[", "\ud83d", "1e", "'=", ";=", "||", "[a",
)  # fmt: skip
"""What hostile texts are made of, again and again, beside what the work itself knows of."""


def hostile_texts(
    units: Iterable[str] = UNITS, starts: Iterable[str] = (), ends: Iterable[str] = ("\x01",)
) -> Iterator[Callable[[int], str]]:
    """Give what makes texts of a size: a start, the same again and again, and an end that fits to nothing."""
    for start, unit, end in product(dict.fromkeys(("", *starts)), dict.fromkeys(units), ends):
        yield _of(start, unit, end)


def _of(start: str, unit: str, end: str) -> Callable[[int], str]:
    return lambda size: start + unit * (size // min(len(unit), 2)) + end


def runs_away(work: Callable[[str], object], text: Callable[[int], str]) -> str:
    """Say how the time of some work grows with a text; nothing where it grows with its length.

    :param text: Makes a text of a size.
    """
    for size in _SIZES:
        if _seconds(work, text(size)) < _SHORT:
            continue
        longer = _least(work, text(size))
        if longer < _SHORT:
            continue
        shorter = _least(work, text(size // 4))
        if longer > _STEEPEST * shorter:
            return f"{longer:.3f} s for {size:,} signs such as {text(40)!r}, {shorter:.3f} s for a quarter"
    return ""


def _least(work: Callable[[str], object], text: str) -> float:
    return min(_seconds(work, text) for _ in range(3))


def _seconds(work: Callable[[str], object], text: str) -> float:
    gc.disable()
    try:
        began = time.thread_time()
        work(text)
        return time.thread_time() - began
    finally:
        gc.enable()


@contextmanager
def traced() -> Iterator[Callable[[], tuple[int, int]]]:
    """Watch what Python allocates meanwhile: give what tells the bytes that are kept, and their most."""
    tracemalloc.start()
    try:
        yield tracemalloc.get_traced_memory
    finally:
        tracemalloc.stop()
