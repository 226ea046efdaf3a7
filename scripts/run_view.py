"""A DAG run on the screen while it happens: its tasks, and the lines that the provider logs in them."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from scripts.airflow_api import FINISHED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from scripts.local_airflow import LocalAirflow
    from scripts.screen import Screen

_OURS = ("airflow_bitrix", "unusual_prefix_")
"""Parts of the names of the loggers of the provider and of DAG files."""
_WAITING = frozenset({"", "none", "scheduled", "queued"})
_ENDED = frozenset({"success", "failed", "skipped", "upstream_failed", "removed", "up_for_retry"})


class RunView:
    """Shows one run.

    :param screen: Where to.
    :param airflow: Where the run is.
    :param folder: Left out of paths in log lines, because it only makes them long.
    """

    def __init__(self, screen: Screen, airflow: LocalAirflow, dag_id: str, run_id: str, folder: Path) -> None:
        self._screen, self._airflow, self._folder = screen, airflow, f"{folder}/"
        self._dag_id, self._run_id = dag_id, run_id
        self._states: dict[tuple[str, int, int], str] = {}
        self._read: dict[Path, int] = {}
        self._table: list[list[str]] = []

    def follow(self, *, timeout: float = 300) -> str:
        """Show what happens until the run is over, and return its state."""
        begun = time.monotonic()
        while True:
            state = self._airflow.run_state(self._dag_id, self._run_id)
            tasks = self._airflow.task_instances(self._dag_id, self._run_id)
            for task in sorted(tasks, key=lambda task: task["start_date"] or "9"):
                self._show_task(task)
            if state in FINISHED:
                return state
            if time.monotonic() - begun > timeout:
                return f"{state} after {timeout:.0f} s"
            time.sleep(0.3)

    def _show_task(self, task: dict[str, Any]) -> None:
        key, state = (task["task_id"], task["map_index"], task["try_number"]), task["state"] or ""
        before = self._states.get(key, "")
        name = task["task_id"] + (f"[{task['map_index']}]" if task["map_index"] >= 0 else "")
        if state not in _WAITING and before in _WAITING:
            again = f", try {task['try_number']}" if task["try_number"] > 1 else ""
            self._screen.line(f"task {name}{again}", "36")
        if state not in _WAITING:
            self._show_log(task)
        if state in _ENDED and state != before:
            took = f" after {task['duration']:.1f} s" if task["duration"] else ""
            self._screen.line(f"task {name}: {state.replace('_', ' ')}{took}", "36")
        self._states[key] = state

    def _show_log(self, task: dict[str, Any]) -> None:
        file = self._airflow.task_log_file(self._dag_id, self._run_id, task)
        for line, is_error in self._new_lines(file):
            text = line.replace(self._folder, "").removeprefix("### ")
            if text.startswith("|"):
                self._table.append([cell.strip() for cell in text.strip("| ").split("|")])
                continue
            self._show_table()
            if text.strip() and not text.startswith("::"):
                self._screen.line(f"  {text}", whole=is_error)
        self._show_table()

    def _show_table(self) -> None:
        """Show the rows of a Markdown table in columns, without its rules."""
        rows = [row for row in self._table if not all(set(cell) <= set(":-") for cell in row)]
        self._table = []
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=False)]
        for number, row in enumerate(rows):
            cells = [
                cell.rjust(width) if cell.replace(",", "").isdigit() else cell.ljust(width)
                for cell, width in zip(row, widths, strict=False)
            ]
            self._screen.line("    " + "   ".join(cells).rstrip(), "" if number else "4")

    def _new_lines(self, file: Path) -> Iterator[tuple[str, bool]]:
        if not file.exists():
            return
        with file.open("rb") as log:
            log.seek(self._read.get(file, 0))
            for line in log:
                if not line.endswith(b"\n"):
                    return  # the task is about to write the rest of it
                self._read[file] = self._read.get(file, 0) + len(line)
                entry = json.loads(line)
                if entry.get("level") == "error":
                    yield str(entry["event"]), True
                    for error in entry.get("error_detail") or ():
                        yield f"{error['exc_type']}: {error['exc_value']}", True
                elif any(part in entry.get("logger", "") for part in _OURS):
                    yield str(entry["event"]), False
