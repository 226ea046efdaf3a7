"""What the commands print: steps with their time, details, and results; colours only on a terminal."""

from __future__ import annotations

import os
import sys
import time

WIDTH = 100


class Screen:
    """Lines for a person; colours and a running clock only on a terminal."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._colours = self._terminal and "NO_COLOR" not in os.environ
        self._step, self._text, self._begun, self._ticked = 0, "", 0.0, 0.0

    def title(self, text: str) -> None:
        """Print a line that stands out."""
        print(f"\n{self._paint(text, '1')}", flush=True)

    def step(self, text: str) -> None:
        """Begin a step; ``done`` ends its line."""
        self._step, self._begun, self._ticked = self._step + 1, time.monotonic(), 0.0
        self._text = f"{self._step}. {text}"
        print(f"\n{self._paint(self._text, '1')}", end="", flush=True)

    def tick(self, seconds: float) -> None:
        """Show that a step goes on: its seconds on a terminal, a dot every other second elsewhere."""
        if self._terminal:
            print(
                f"\r{self._paint(self._text, '1')} {self._paint(f'{seconds:.0f} s', '2')}", end="", flush=True
            )
        elif seconds - self._ticked >= 2:  # noqa: PLR2004
            self._ticked = seconds
            print(".", end="", flush=True)

    def done(self, text: str = "") -> None:
        """End the line of a step with its time."""
        seconds = time.monotonic() - self._begun
        note = f" ({seconds:.1f} s)" if seconds >= 0.1 else ""  # noqa: PLR2004
        start = f"\r{self._paint(self._text, '1')}" if self._terminal else ""
        print(start + self._paint(note, "2"), flush=True)
        if text:
            self.line(text)

    def line(self, text: str, style: str = "", *, whole: bool = False) -> None:
        """Print a detail of a step; where it is too long, its middle is left out unless all of it counts."""
        room = WIDTH - 3
        if len(text) > room and not whole:
            text = f"{text[: room // 2]}…{text[-(room - room // 2 - 1) :]}"
        print("   " + self._paint(text, style), flush=True)

    def result(self, text: str) -> None:
        """Print what came out of a step."""
        print(f"   {self._paint(text, '32')}", flush=True)

    def failed(self, text: str) -> None:
        """Print what went wrong, to the error stream, in full."""
        print(flush=True)
        print(self._paint("FAILED: ", "1;31") + text, file=sys.stderr, flush=True)

    def interrupted(self) -> None:
        """Say that nothing runs any more, though the work was not done."""
        print(f"\n{self._paint('Interrupted; everything is stopped.', '1')}", flush=True)

    def _paint(self, text: str, style: str) -> str:
        return f"\x1b[{style}m{text}\x1b[0m" if self._colours and style and text else text
