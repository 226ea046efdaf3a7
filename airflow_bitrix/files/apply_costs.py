"""What applying cost, kept in the journal, so that a report can tell it for all tasks and tries together."""

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
    """

    requests: int = 0
    refused: int = 0
    repeats: int = 0
    waited: float = 0.0
    seconds: float = 0.0
    hidden_links: int = 0

    def __add__(self, other: ApplyCost) -> ApplyCost:
        """Give both together."""
        mine, theirs = asdict(self), asdict(other)
        return ApplyCost(**{name: mine[name] + theirs[name] for name in mine})

    def as_json(self) -> dict[str, Any]:
        """Give it as the journal keeps it."""
        return {name: round(value, 3) for name, value in asdict(self).items()}


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
    """Give the effort that a line tells; what a newer version tells besides is passed over."""
    known = {field.name for field in fields(ApplyCost)}
    return ApplyCost(**{name: value for name, value in about["effort"].items() if name in known})


def _told(path: Path) -> Iterator[dict[str, Any]]:
    for line in raw_lines(path):
        if line.startswith((b'{"effort":', b'{"journal":')) and line.endswith(b"\n"):
            yield json_value(line)
