"""The parts of Airflow's pages that several tests use, found as a person finds them: by what stands there."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from playwright.sync_api import FrameLocator, Locator, Page, expect

if TYPE_CHECKING:
    from collections.abc import Sequence

FIRST_SECTION = "Run Parameters"
"""Where a trigger form shows the parameters that name no section."""


RUN_OVER = 120_000
"""Milliseconds that a run may take."""


class Form:
    """A dialog with labelled fields, some of them in sections of which one is open at a time."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self.dialog = page.get_by_role("dialog")

    def field(self, title: str) -> Locator:
        """Give the label, the input and the help text of one field."""
        label = self._page.locator("label", has_text=re.compile(rf"^\s*{re.escape(title)}\s*\*?\s*$"))
        return self.dialog.locator("[data-scope=field][data-part=root]").filter(has=label)

    def input(self, title: str) -> Locator:
        """Give the one visible input of a field."""
        return self.field(title).locator("input:not([type=hidden]), textarea").first

    def button(self, name: str) -> Locator:
        """Give a button of the dialog."""
        return self.dialog.get_by_role("button", name=name, exact=True)

    def open(self, section: str) -> None:
        """Open a section, unless it is open."""
        heading = self.button(section)
        if heading.get_attribute("aria-expanded") != "true":
            heading.click()
        expect(heading).to_have_attribute("aria-expanded", "true")

    def switch(self, title: str, *, on: bool) -> None:
        """Turn a switch on or off."""
        box = self.field(title).get_by_role("checkbox")
        if box.is_checked() != on:
            self.field(title).locator("[data-scope=switch][data-part=control]").click()
        expect(box).to_be_checked(checked=on)

    def choices(self, title: str) -> Sequence[str]:
        """Open a drop-down list and tell what can be chosen in it."""
        self.field(title).get_by_role("combobox").click()
        options = self._page.get_by_role("option")
        expect(options.first).to_be_visible()
        return options.all_inner_texts()

    def choose(self, title: str, text: str) -> None:
        """Choose from a drop-down list what begins with a text."""
        self.choices(title)
        self._page.get_by_role("option", name=text).first.click()


def trigger_form(page: Page, address: str) -> Form:
    """Open the trigger form of a DAG from its page."""
    page.goto(address)
    page.get_by_role("button", name="Trigger Dag").click()
    form = Form(page)
    expect(form.button(FIRST_SECTION)).to_be_visible()
    return form


def report_of(page: Page, address: str) -> FrameLocator:
    """Open the report tab of a run from the run's page."""
    page.goto(address)
    page.get_by_role("link", name="Bitrix24 report").click()
    return page.frame_locator("iframe")


def told(page: Page, title: str) -> Locator:
    """Give the notice with such a title that Airflow shows for some seconds."""
    return page.locator("[data-scope=toast][data-part=root]").filter(has_text=title)


def tab_to(page: Page, target: Locator, most: int = 60) -> None:
    """Press the tabulator until an element has the focus."""
    expect(target).to_be_visible()
    for _ in range(most):
        page.keyboard.press("Tab")
        if target.evaluate("element => element === document.activeElement"):
            return
    raise AssertionError(f"{most} times Tab do not reach {target}")
