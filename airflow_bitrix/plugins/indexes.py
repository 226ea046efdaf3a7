"""The indexes that the API server keeps: those of the runs that were looked at last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from airflow_bitrix.files.outcome_index import OutcomeIndex, Sort, read_index
from airflow_bitrix.report.indexed import search_for

MOST_CHANGES = 1_000_000
"""Changes in all indexes that are kept, about 25 bytes each; the one that is looked at is always kept."""


class Indexes:
    """Gives indexes, each made anew only as far as its files were written since.

    :param most_changes: Changes in all indexes that are kept.
    """

    def __init__(self, most_changes: int = MOST_CHANGES) -> None:
        self._most_changes = most_changes
        self._lock = Lock()
        self._kept: OrderedDict[Path, OutcomeIndex] = OrderedDict()
        self._asked: tuple[object, ...] = ()
        self._answer: Sequence[int] = ()

    def of(self, folder: Path) -> OutcomeIndex:
        """Give the index of a plan task's folder.

        :raises PlanRefused: There is no plan, or it was edited, or it cannot be read.
        """
        with self._lock:  # who asks for the same run meanwhile finds it done
            index = self._kept[folder] = read_index(folder, self._kept.pop(folder, None))
            while (
                len(self._kept) > 1
                and sum(one.manifest.changes for one in self._kept.values()) > self._most_changes
            ):
                self._kept.popitem(last=False)
            return index

    def rows(self, index: OutcomeIndex, *, state: str, search: str, sort: Sort) -> Sequence[int]:
        """Give the rows that are asked for. The last answer is kept: whoever turns a page asks the same."""
        asked = (index.plan, tuple(part.stamp for part in index.parts), state, search, sort)
        with self._lock:
            if asked == self._asked:
                return self._answer
        states, wanted = [state] if state else (), search_for(search)
        answer = (
            index.rows(states, sort, wanted.matches, wanted.hints) if wanted else index.rows(states, sort)
        )
        with self._lock:
            self._asked, self._answer = asked, answer
        return answer
