"""The documentation site, as files in a browser: searched, read and switched between languages."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from scripts.docs_site import SITE
from tests.ui.conftest import Watch, open_chromium, pictures, shoot

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page, ViewportSize

__all__ = ["pictures", "shoot"]  # fixtures

WIDE: ViewportSize = {"width": 1280, "height": 900}
NARROW: ViewportSize = {"width": 360, "height": 900}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with open_chromium() as opened:
        yield opened


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of a browser, which may read the files of the site and nothing else."""
    watch = Watch((SITE.as_uri(),))
    with closing(browser.new_context(viewport=WIDE)) as context:
        watch.over(context)
        yield context.new_page()
    assert watch.problems() == []


def address(name: str) -> str:
    return f"{SITE.as_uri()}/{name}.html"


@pytest.mark.parametrize(
    ("language", "words", "found"),
    [("en", "repeat leads", "Clean-up rules"), ("ru", "повторного лида", "Правила наведения порядка")],
)
def test_search_finds_words_in_other_forms(page: Page, language: str, words: str, found: str) -> None:
    page.goto(f"{address(f'{language}/search')}?q={words}")
    expect(page.locator("#search-results").get_by_role("link", name=found, exact=True)).to_be_visible()


@pytest.mark.parametrize("size", [WIDE, NARROW], ids=["wide", "narrow"])
def test_a_page_leads_to_itself_in_the_other_language(
    page: Page, size: ViewportSize, shoot: Callable[[Page, str], None]
) -> None:
    page.set_viewport_size(size)
    for name in ("index", "clean-up"):
        page.goto(address(f"en/{name}"))
        page.get_by_role("link", name="Русский").locator("visible=true").last.click()
        expect(page).to_have_url(address(f"ru/{name}"))
        expect(page.locator("html")).to_have_attribute("lang", "ru")
        shoot(page, f"site-{name}-{size['width']}")
        page.get_by_role("link", name="English").locator("visible=true").last.click()
        expect(page).to_have_url(address(f"en/{name}"))


def test_no_page_is_wider_than_a_narrow_screen(page: Page) -> None:
    page.set_viewport_size(NARROW)
    for path in sorted(SITE.glob("*/*.html")):
        page.goto(path.as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW["width"], path


def test_the_first_page_goes_by_the_language_of_the_browser(browser: Browser) -> None:
    for locale, language in (("ru-RU", "ru"), ("de-DE", "en")):
        with closing(browser.new_context(locale=locale)) as context:
            opened = context.new_page()
            opened.goto(address("index"))
            expect(opened).to_have_url(address(f"{language}/index"))
