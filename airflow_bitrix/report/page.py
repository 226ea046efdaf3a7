"""The report as one HTML file that needs nothing else: for a browser, a mail, an archive."""

from __future__ import annotations

from importlib.resources import files

import jinja2

from airflow_bitrix.report.summary import MOST_ROWS, Summary, hidden_links_line, outcome_lines, rule_titles


def as_html(summary: Summary) -> str:
    """Give the report as a page. Texts of the portal are escaped."""
    template = files("airflow_bitrix.report").joinpath("report.html.j2").read_text()
    environment = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(template).render(
        summary=summary,
        manifest=summary.manifest,
        effort=summary.effort,
        outcomes=outcome_lines(summary),
        rules=rule_titles(summary.manifest),
        hidden_links=hidden_links_line(summary) if summary.hidden_links else "",
        widest=max(summary.manifest.changes, 1),
        most_rows=MOST_ROWS,
    )
