"""What axe-core finds wrong with a page for those who hear it, enlarge it, or see few contrasts."""

from __future__ import annotations

from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

_AXE = files("axe_playwright_python").joinpath("axe.min.js").read_text(encoding="utf-8")

_RUN = (
    """([element, rules]) => axe.run(element || document, { runOnly: rules, resultTypes: ["violations"] })"""
)

_RULES = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
"""Contrast of at least 4.5, or 3 for large letters, is among them."""


def faults(page: Page, part: Locator | None = None) -> list[str]:
    """Give what is seriously wrong, a line for each element.

    :param part: What of the page is looked at; ``None`` for all of it.
    """
    if not page.evaluate("() => typeof axe === 'object'"):
        page.evaluate(_AXE)
    told: dict[str, Any] = page.evaluate(_RUN, [part and part.element_handle(), _RULES])
    return [
        f"{one['id']} ({one['impact']}): {node['html']} {node['failureSummary']}"
        for one in told["violations"]
        if one["impact"] in ("serious", "critical", "moderate")
        for node in one["nodes"]
    ]
