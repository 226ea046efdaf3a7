"""The indexes that the API server keeps: those of the runs that were looked at last."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from threading import Lock

from airflow_bitrix.files.outcome_index import OutcomeIndex, Sort, read_index
from airflow_bitrix.report.indexed import Search

MOST_INDEXES = 32
"""Indexes that are kept."""

MOST_WEIGHT = 300_000
"""What they may weigh together; the unit is a change, about 25 bytes."""

_OF_EACH, _OF_A_REASON, _OF_A_STRETCH = 1000, 12, 5
"""What an index weighs beside its changes, and what each reason that a check has found weighs, and each
stretch of time in which outcomes were noted."""


class Indexes:
    """Gives indexes, each made anew only as far as its files were written since.

    Nothing is locked while files are read: two that ask for a folder at the same time make it twice.

    :param most: Indexes that are kept.
    :param most_weight: What they may weigh together; the one that is looked at is always kept.
    """

    def __init__(self, most: int = MOST_INDEXES, most_weight: int = MOST_WEIGHT) -> None:
        self._most = most
        self._most_weight = most_weight
        self._lock = Lock()
        self._kept: OrderedDict[Path, OutcomeIndex] = OrderedDict()
        self._asked: tuple[object, ...] = ()
        self._answer: Sequence[int] = ()

    def __len__(self) -> int:
        """Give how many are kept."""
        return len(self._kept)

    def of(self, folder: Path) -> OutcomeIndex:
        """Give the index of a plan task's folder.

        :raises PlanRefused: There is no plan, or it was edited, or it cannot be read.
        """
        with self._lock:
            earlier = self._kept.pop(folder, None)
        index = read_index(folder, earlier)
        with self._lock:
            self._kept[folder] = index
            self._kept.move_to_end(folder)
            while len(self._kept) > 1 and self._is_too_much():
                self._kept.popitem(last=False)
        return index

    def rows(self, index: OutcomeIndex, *, state: str, search: Search, sort: Sort) -> Sequence[int]:
        """Give the rows that are asked for. The last answer is kept: whoever turns a page asks the same."""
        asked = (index.plan, tuple(part.stamp for part in index.parts), state, search.words, sort)
        with self._lock:
            if asked == self._asked:
                return self._answer
        matches = search.matches if search.words else None
        answer = index.rows([state] if state else (), sort, matches, search.hints)
        with self._lock:
            self._asked, self._answer = asked, answer
        return answer

    def _is_too_much(self) -> bool:
        weight = sum(_weight(index) for index in self._kept.values())
        return len(self._kept) > self._most or weight > self._most_weight


def _weight(index: OutcomeIndex) -> int:
    stretches = sum(len(part.times.counts) for part in index.parts)
    return _OF_EACH + index.manifest.changes + _OF_A_REASON * len(index.since) + _OF_A_STRETCH * stretches
