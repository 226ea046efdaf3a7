"""What applying cost, and how many comments it made on cards, for all tasks and tries together.

It is kept in the journal, where a report finds it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from airflow_bitrix.files.damage import reading
from airflow_bitrix.files.journal_lines import raw_lines
from airflow_bitrix.files.json_texts import json_value


@dataclass(frozen=True, slots=True)
class ApplyCost:
    """What an apply cost.

    :param requests: Requests sent.
    :param refused: Requests that the portal refused because its bucket was full.
    :param repeats: Requests sent again after a fault.
    :param waited: Seconds waited for the portal, summed over all requests in flight.
    :param seconds: Seconds from start to end, summed over tasks and tries.
    :param hidden_links: Looks at owners whose links the portal left out of its lists.
    :param comments: Comments made on the cards of what was changed, each counted as its line tells it.
    :param refused_comments: Comments that the portal refused.
    :param comment_refusal: The first of these: the owner, and the portal's words.
    """

    requests: int = 0
    refused: int = 0
    repeats: int = 0
    waited: float = 0.0
    seconds: float = 0.0
    hidden_links: int = 0
    comments: int = 0
    refused_comments: int = 0
    comment_refusal: str = ""

    def __add__(self, other: ApplyCost) -> ApplyCost:
        """Give both together."""
        mine, theirs = asdict(self), asdict(other)
        told = {"comment_refusal": self.comment_refusal or other.comment_refusal}
        return ApplyCost(**{name: mine[name] + theirs[name] for name in mine} | told)

    def as_json(self) -> dict[str, Any]:
        """Give it as a try's line in the journal keeps it; lines of their own tell of comments."""
        return {name: round(value, 3) for name, value in asdict(self).items() if "comment" not in name}


EFFORT_LINES = (b'{"effort":', b'{"commented":')
"""How the lines of a journal begin that :func:`told_effort` reads."""

NOTHING = ApplyCost()
"""What is added to."""


def read_apply_costs(paths: Iterable[Path]) -> ApplyCost:
    """Add up what the tries cost that a journal tells of; a try that was killed tells nothing.

    Dry runs count only where there was no other run.

    :param paths: Parts of the journal.
    :raises PlanRefused: A part cannot be read, or is damaged.
    """
    real, dry, was_real = NOTHING, NOTHING, False
    for path in paths:
        is_dry = True
        with reading(path):
            for about in _told(path):
                if "journal" in about:
                    is_dry = about["dry_run"]
                    was_real = was_real or not is_dry
                elif is_dry:
                    dry += told_effort(about)
                else:
                    real += told_effort(about)
    return real if was_real else dry


def told_effort(about: dict[str, Any]) -> ApplyCost:
    """Give what a line tells, of a try's effort or of comments; what a newer version adds is passed over."""
    if "commented" in about:
        refused = about.get("refused", ())
        told = str(about.get("why", ""))
        return ApplyCost(
            comments=len(about["commented"]), refused_comments=len(refused), comment_refusal=told
        )
    known = {field.name for field in fields(ApplyCost)}
    return ApplyCost(**{name: value for name, value in about["effort"].items() if name in known})


def _told(path: Path) -> Iterator[dict[str, Any]]:
    for line in raw_lines(path):
        if line.startswith((*EFFORT_LINES, b'{"journal":')) and line.endswith(b"\n"):
            yield json_value(line)
