"""A summary of an index: what the tab of a run shows, also while the run is under way."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from airflow_bitrix.core.plan import OUTCOMES
from airflow_bitrix.files.approvals import read_approval, read_contradiction
from airflow_bitrix.files.checks import read_check
from airflow_bitrix.files.outcome_index import OVERWRITTEN, OutcomeIndex
from airflow_bitrix.files.taken_back import read_taken_back
from airflow_bitrix.files.writers import read_wait
from airflow_bitrix.report.page import FIRST_ROWS
from airflow_bitrix.report.summary import Row, Summary, row_of

MOST_TROUBLES = 20
"""Rows of what failed, drifted or was overwritten in the tab, whose table of changes has all of them."""

MOST_WORDS = 8
"""Words of a search."""

MOST_LETTERS = 200
"""Letters of what is typed for one."""


def summary_of(index: OutcomeIndex) -> Summary:
    """Give what an index comes to, with as many rows as a page shows."""
    manifest, counts = index.manifest, index.counts
    folder, noted = index.plan.parent, index.noted if index.is_begun else None
    effort = index.effort
    finished = datetime.fromtimestamp(noted, UTC).isoformat(timespec="seconds") if noted else ""
    check = read_check(folder, manifest.hash, noted) if noted else None
    troubles = index.rows(["failed", "drift", OVERWRITTEN])[:MOST_TROUBLES]
    return Summary(
        manifest=manifest,
        dry_run=index.is_dry_run,
        finished=check.finished if check else finished,
        complete=not counts["open"],
        counts={name: counts[name] for name in OUTCOMES},
        overwritten=index.overwritten,
        left_out=manifest.counts.get("left_out", {}),
        effort=effort + check.effort if check else effort,
        troubles=shown_rows(index, troubles),
        changes=shown_rows(index, range(min(FIRST_ROWS, manifest.changes))),
        planned=manifest.changes,
        by_rule=index.by_rule,
        biggest=shown_rows(index, index.biggest),
        approval=read_approval(folder, manifest.hash),
        contradiction=read_contradiction(folder, manifest.hash),
        checked=check.finished if check else "",
        taken_back=read_taken_back(folder, manifest.hash),
        checked_partially=check.partial if check else (),
        wait=read_wait(folder, manifest.hash),
        times=index.times,
    )


def shown_rows(index: OutcomeIndex, rows: Sequence[int]) -> list[Row]:
    """Give rows of an index as a page shows them."""
    portal = index.manifest.portal
    return [row_of(portal, change, outcome, names) for change, outcome, names in index.read_named(rows)]


@dataclass(frozen=True, slots=True)
class Search:
    """What somebody searches: all words, in upper or lower case. Numbers are matched whole: 5 is not in 15.

    :param words: The words, each once, in lower case; without any, everything is searched for.
    :param patterns: What finds them.
    :param hints: Words that stand in a file as they are, so that lines without them need not be read.
    :param is_cut: Whether more was typed than is searched for.
    """

    words: Sequence[str]
    patterns: Sequence[re.Pattern[str]]
    hints: Sequence[bytes]
    is_cut: bool

    def matches(self, text: str) -> bool:
        """Whether all words are in a text."""
        text = text.lower()
        return all(pattern.search(text) for pattern in self.patterns)


def search_for(typed: str) -> Search:
    """Read what somebody typed.

    Each word is looked for in every change, so only :data:`MOST_WORDS` different ones are, and of all that
    was typed :data:`MOST_LETTERS` letters are read.
    """
    split = (word.removesuffix("*") for word in re.split(r"[\s,]+", typed[:MOST_LETTERS].lower()))
    every = list(dict.fromkeys(word for word in split if word))
    words = every[:MOST_WORDS]
    return Search(
        words,
        [re.compile(rf"(?<!\d){word}(?!\d)" if word.isdecimal() else re.escape(word)) for word in words],
        [word.encode() for word in words if _AS_IT_IS.fullmatch(word)],
        is_cut=len(every) > MOST_WORDS or bool(typed[MOST_LETTERS:].strip()),
    )


_AS_IT_IS = re.compile(r"[\w.:-]+")
