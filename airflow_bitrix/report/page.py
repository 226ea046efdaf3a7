"""The report as one HTML file that needs nothing else: for a browser, a mail, an archive."""

from __future__ import annotations

from importlib.resources import files
from typing import Any

import jinja2

from airflow_bitrix.report.summary import MOST_ROWS, Summary, hidden_links_line, outcome_lines, rule_titles


def rendered(template: str, **about: Any) -> str:
    """Fill a template of this folder. Texts of the portal are escaped."""
    here = files("airflow_bitrix.report")
    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: here.joinpath(name).read_text(encoding="utf-8")),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(template).render(**about)


def as_html(summary: Summary) -> str:
    """Give the report as a page. Texts of the portal are escaped."""
    return rendered(
        "report.html.j2",
        summary=summary,
        manifest=summary.manifest,
        effort=summary.effort,
        outcomes=outcome_lines(summary),
        rules=rule_titles(summary.manifest),
        hidden_links=hidden_links_line(summary) if summary.hidden_links else "",
        widest=max(summary.manifest.changes, 1),
        most_rows=MOST_ROWS,
    )
