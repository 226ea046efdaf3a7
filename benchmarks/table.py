"""The table as text: the same columns as ``latest.json``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.works import FAST, OWN

_MEMORY_GROWTH_MB = 30


def verdict(row: Mapping[str, Any], beside: Sequence[Mapping[str, Any]]) -> str:
    """Tell in a word or two whether a row of ours reaches its target.

    :param beside: All rows of the same work.
    """
    if not row["right"]:
        return "WRONG"
    target = row["target"]
    if target is None and row["measure"] == "cpu":
        fast = [one["n"] / one["cpu_seconds"] for one in beside if one["client"] == FAST and one["right"]]
        target = fast[0] if fast else None
    if target is None:
        return ""
    if row["measure"] == "cpu":
        met = row["n"] / row["cpu_seconds"] >= target
        return f"{'met' if met else 'MISSED'}: {target:,.0f} a CPU second"
    met = row["ratio"] is not None and row["ratio"] <= target
    if goals := row.get("goals"):
        met = met and row["refused_part"] <= goals[0] and row["smallest_share"] >= goals[1]
    return f"{'met' if met else 'MISSED'}: {target:.2f}"


_COLUMNS = (
    ("client", "<20", "client"),
    ("n", ">7", "n"),
    ("seconds", ">8", "seconds"),
    ("bound_seconds", ">8", "bound"),
    ("ratio", ">7", "ratio"),
    ("requests", ">8", "requests"),
    ("refused", ">7", "refused"),
    ("right", ">5", "right"),
    ("cpu_seconds", ">7", "cpu s"),
    ("peak_rss_mb", ">7", "rss MB"),
)


def heading() -> str:
    """Give the names of the columns."""
    return "  ".join(f"{title:{spec}}" for _, spec, title in _COLUMNS)


def line(row: Mapping[str, Any], beside: Sequence[Mapping[str, Any]]) -> str:
    """Give one row of those of a work."""
    cells = [f"{_shown(name, row[name]):{spec}}" for name, spec, _ in _COLUMNS]
    said = [verdict(row, beside)] if row["client"] in OWN else []
    if row["note"]:
        said.append(row["note"][:120])
    return "  ".join([*cells, "; ".join(one for one in said if one)]).rstrip()


def _shown(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "NO"
    if isinstance(value, float):
        return f"{value:.1f}" if name == "peak_rss_mb" else f"{value:.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Give the whole table, one block for each work."""
    lines = [heading()]
    for work in dict.fromkeys(row["work"] for row in rows):
        beside = [row for row in rows if row["work"] == work]
        lines += ["", work, *(line(row, beside) for row in beside)]
    peaks = [row["peak_rss_mb"] for row in rows if row["measure"] == "memory" and row["peak_rss_mb"]]
    if len(peaks) > 1:
        growth = peaks[-1] - peaks[0]
        word = "met" if growth < _MEMORY_GROWTH_MB else "MISSED"
        lines += ["", f"Peak memory grows by {growth:.1f} MB ({word}: {_MEMORY_GROWTH_MB})"]
    return "\n".join(lines)
