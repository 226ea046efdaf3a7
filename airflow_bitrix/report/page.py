"""The report as an HTML page that needs nothing else: as a file for a mail or an archive, and as a tab."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from itertools import accumulate
from typing import Any

import jinja2
from markupsafe import Markup

from airflow_bitrix.core.families import family_of
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.kind_words import kind_words
from airflow_bitrix.core.languages import gettext, gettext_noop, language, number, pgettext
from airflow_bitrix.core.links import Owner, card_address, owner_address
from airflow_bitrix.files.indexed_parts import STATES
from airflow_bitrix.files.outcome_index import OVERWRITTEN
from airflow_bitrix.report.names import pieces_json, row_words
from airflow_bitrix.report.notices import Notice, notices
from airflow_bitrix.report.offers import Offer, next_steps
from airflow_bitrix.report.opening import opening
from airflow_bitrix.report.pace import pace_of
from airflow_bitrix.report.recoveries import in_several, recovery_lines
from airflow_bitrix.report.script_texts import script_texts
from airflow_bitrix.report.summary import Row, Summary
from airflow_bitrix.report.texts import limits_of, outcome_lines, rule_titles
from airflow_bitrix.report.timeline import timeline

NO_OUTCOME = gettext_noop("no outcome yet")

FIRST_ROWS = 50
"""Changes that stand in the page itself; its script turns the pages of the others."""


_LONGEST = 100_000
"""Signs of one text of a page: a lead may have thousands of contacts."""


@dataclass(frozen=True, slots=True)
class Download:
    """A file that the tab offers.

    :param address: Relative to the page.
    :param holds: What is in it.
    """

    address: str
    name: str
    holds: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """The differences that a task without a plan has found, from its CSV file.

    :param columns: What stands above each column.
    :param counts: How many rows of each kind.
    :param meanings: What the kinds mean.
    :param rows: The cells of the first rows; those that are markup have links of ours.
    :param nothing: What it means where there are none.
    :param counted: What is counted.
    :param is_compared: Whether there was something to compare with.
    """

    title: str
    columns: Sequence[str]
    counts: Mapping[str, int]
    meanings: Mapping[str, str]
    rows: Sequence[Sequence[str]]
    nothing: str = "None."
    counted: str = ""
    is_compared: bool = True

    @property
    def total(self) -> int:
        """How many rows there are."""
        return sum(self.counts.values())


@dataclass(frozen=True, slots=True)
class PlanLine:
    """One of several plans of a run.

    :param task: The task that made it.
    :param owners: What its changes are of, in words.
    :param counts: How many changes have each outcome; ``open`` for those that have none yet.
    """

    task: str
    owners: str
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Tab:
    """What the tab of a DAG run shows around the summary.

    :param heading: Headline where there is no summary.
    :param opening: What the run is about, in a sentence.
    :param notices: What is to be said above everything else.
    :param live: Whether the run is under way, so that the page looks again by itself.
    :param tasks: Names of the tasks that have files.
    :param task: The one that is shown.
    :param rows_url: Where the script reads changes, relative to the page.
    :param offers: What a person may do next.
    :param plans: All plans of the run, where it has several.
    """

    heading: str
    notices: Sequence[Notice] = ()
    opening: str = ""
    live: bool = False
    tasks: Sequence[str] = ()
    task: str = ""
    rows_url: str = ""
    downloads: Sequence[Download] = ()
    found: Found | None = None
    offers: Sequence[Offer] = ()
    plans: Sequence[PlanLine] = ()


def rendered(template: str, **about: Any) -> str:
    """Fill a template of this folder. Texts of the portal are plain ones in it, and escaped."""
    return _environment().get_template(template).render(language=language(), **about)


@cache
def _environment() -> jinja2.Environment:
    made = jinja2.Environment(
        loader=jinja2.FunctionLoader(_source),
        autoescape=True,
        finalize=_plain,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals |= {"gettext": gettext, "pgettext": pgettext, "number": number}
    return made


def _plain(value: Any) -> Any:
    """Make plain text of each text that a template shows; our own markup stays."""
    is_text = isinstance(value, str) and not isinstance(value, Markup)
    return as_plain_text(value, _LONGEST) if is_text else value


def _source(name: str) -> str:
    return files("airflow_bitrix.report").joinpath(name).read_text(encoding="utf-8")


def as_html(summary: Summary, *, folder: str) -> str:
    """Give the report as a file. It holds the first changes, to be searched, and asks nobody for anything.

    :param folder: The folder that holds the plan and its journal.
    """
    embedded = [row_json(row) for row in summary.changes]
    return _page(
        summary,
        Tab(summary.title, notices(summary), opening(summary), offers=next_steps(summary, folder)),
        embedded=embedded,
        policy=content_policy(),
        first=summary.changes[:FIRST_ROWS],
    )


def as_tab(summary: Summary | None, tab: Tab) -> str:
    """Give the page of the tab.

    :param summary: ``None`` where there is no plan.
    """
    return _page(summary, tab, embedded=None, policy="", first=summary.changes if summary else ())


def content_policy(connect: str = "'none'") -> str:
    """Give the page's content security policy: its own style and script, and nothing from anywhere.

    :param connect: Where the script may read from.
    """
    style, script = (f"'sha256-{_digest(text)}'" for text in (_style(), _script()))
    return (
        f"default-src 'none'; style-src {style}; script-src {script}; connect-src {connect}; "
        "base-uri 'none'; form-action 'none'"
    )


def row_json(row: Row) -> list[Any]:
    """Give a row as the page's script takes it."""
    contacts = pieces_json(row.contacts, row.names), row.notes
    told = [row.owner.id, row.outcome, *contacts, as_plain_text(row.reason), int(row.overwrote)]
    return [*told, as_plain_text(row.names.title), as_plain_text(row.about)]


def _page(
    summary: Summary | None, tab: Tab, *, embedded: list[Any] | None, policy: str, first: Sequence[Row]
) -> str:
    about: dict[str, Any] = {
        "summary": summary,
        "heading": tab.heading,
        "opening": tab.opening,
        "notices": tab.notices,
        "live": tab.live,
        "tasks": tab.tasks,
        "task": tab.task,
        "rows_url": tab.rows_url,
        "downloads": tab.downloads,
        "found": tab.found,
        "plans": tab.plans,
        "counted": STATES,
        "offers": tab.offers,
        "embedded": embedded,
        "policy": policy,
        "first": first,
        "states": (*STATES, OVERWRITTEN),
        "title": tab.heading,
        "style": Markup(_style()),  # noqa: S704 (our own)
        "script": Markup(_script()),  # noqa: S704 (our own)
        "texts": script_texts(),
    }
    if summary:
        manifest = summary.manifest
        about |= {
            "title": f"{summary.title}, {manifest.portal}",
            "manifest": manifest,
            "words_of": kind_words(manifest.kind),
            "timeline": timeline(summary, live=tab.live),
            "pace": pace_of(summary, live=tab.live),
            "left_out_url": f"files/left_out.csv?{tab.rows_url.partition('?')[2]}",
            "effort": summary.effort,
            "recovered": recovery_lines(manifest),
            "in_several": in_several(),
            "outcomes": _outcomes(summary, is_file=embedded is not None),
            "rules": _rules(summary),
            "widest": max(manifest.changes, 1),
            "address": owner_address(manifest.portal, Owner(manifest.kind, 0)).removesuffix("0/"),
            "contacts_at": card_address(manifest.portal, family_of(manifest.kind).linked, 0).removesuffix(
                "0/"
            ),
            "words": row_words(manifest.kind),
            "limits": "; ".join(f"{name}: {limit}" for name, limit in limits_of(manifest)),
        }
    return rendered("report.html.j2", **about)


def _outcomes(summary: Summary, *, is_file: bool) -> list[tuple[str, int, str]]:
    lines = outcome_lines(summary)
    if summary.dry_run:  # what would be written is what it is about
        lines.sort(key=lambda line: line[0] != "skipped")
    if is_file:
        return lines
    # A file is written when an apply ends; the tab is also looked at before and while there is one.
    is_over = summary.approval and summary.approval.answer in ("rejected", "unanswered")
    still = gettext("not written") if is_over else gettext(NO_OUTCOME)
    return [(*line[:2], still if line[0] == "open" else line[2]) for line in lines]


@dataclass(frozen=True, slots=True)
class _Segment:
    name: str
    count: int
    at: float
    share: float


@dataclass(frozen=True, slots=True)
class _Rule:
    name: str
    title: str
    planned: int
    segments: Sequence[_Segment] = field(default_factory=tuple)


def _rules(summary: Summary) -> list[_Rule]:
    """Give each rule with its bar; the longest bar is that of the rule with the most changes."""
    planned = summary.manifest.counts.get("by_rule", {})
    titles = {name: name for name in planned} | dict(rule_titles(summary.manifest))
    counts = {name: summary.by_rule.get(name, {}) for name in titles}
    widest = max([1, *(sum(one.values()) for one in counts.values())])
    rules = []
    for name, title in titles.items():
        shares = [(state, count) for state, count in counts[name].items() if count]
        ends = accumulate(count for _, count in shares)
        segments = tuple(
            _Segment(state, count, 100 * (end - count) / widest, 100 * count / widest)
            for (state, count), end in zip(shares, ends, strict=True)
        )
        rules.append(_Rule(name, title, int(planned.get(name, sum(counts[name].values()))), segments))
    return rules


@cache
def _style() -> str:
    colours = "\n".join(
        f".tag.{name} {{ background:var(--{name}) }} rect.{name}, .{name} .fill {{ fill:var(--{name}) }}"
        for name in STATES
    )
    return f"{rendered('style.css.j2')}\n{colours}\n"


@cache
def _script() -> str:
    return _source("report.js")


def _digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
