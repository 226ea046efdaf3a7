"""Words that we did not choose are one line of plain text, of bounded length."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from airflow_bitrix.core.foreign_text import LONGEST, as_plain_text

SECRET = "k3xq9w8e7r6t5y4u"

SHOWN = {
    "a\nb": r"a\nb",
    "a\r\nb\tc": r"a\r\nb\tc",
    "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g": r"a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g",
    "\x1b[2J\x1b[31mred\x9b0m": r"\x1b[2J\x1b[31mred\x9b0m",
    "\x1b]8;;https://evil.example\x07here": r"\x1b]8;;https://evil.example\x07here",
    "\u202egnp.exe\u2066x\u2069\u200e\u061c": r"\u202egnp.exe\u2066x\u2069\u200e\u061c",
    "pay\u200bpal\u2060\ufeff\u00ad\u034f\u3164\ufe00": r"pay\u200bpal\u2060\ufeff\xad\u034f\u3164\ufe00",
    "\U000e0041\U000e0100": r"\U000e0041\U000e0100",
    "\0\x7f": r"\x00\x7f",
    "half \ud83d of one": r"half \ud83d of one",
    "none \ufdd0 \uffff \U0010ffff": r"none \ufdd0 \uffff \U0010ffff",
    "::group::Done": r"\x3a:group::Done",
    "a ::endgroup::group:: b:::group::": r"a \x3a:endgroup\x3a:group:: b:\x3a:group::",
}
"""What a text is shown as. Airflow's page of a log folds lines at its two marks wherever they stand."""

STAYS = [
    "Access denied!",
    'Сделка "Ремонт" — 5 000 ₽',
    "ü, ñ, 中文, العربية, हिन्दी, é",
    "❤️ 👍🏽",
    r"a backslash \n of its own",
    "std::group, a::b::c, ::Group::",
    "",
]


@pytest.mark.attack
@pytest.mark.parametrize(("text", "shown"), SHOWN.items(), ids=map(ascii, SHOWN))
def test_what_ends_lines_moves_the_cursor_or_cannot_be_seen_is_shown_as_what_it_is(
    text: str, shown: str
) -> None:
    assert as_plain_text(f"({text})") == f"({shown})"


@pytest.mark.parametrize("text", STAYS)
def test_what_people_write_stays_as_it_is(text: str) -> None:
    assert as_plain_text(text) == text


def test_spaces_of_other_widths_are_spaces_and_none_stand_around_a_text() -> None:
    assert as_plain_text(" 5\u00a0000\u202f₽\u3000! \r\n") == "5 000 ₽ !"


@pytest.mark.attack
@pytest.mark.drawn
@given(st.text(max_size=60), st.integers(5, 80))
@example("::" * 9 + "group::", 9)
@example("\n" * 60, 5)
def test_any_text_is_one_line_that_any_file_can_hold_and_is_made_so_once(text: str, longest: int) -> None:
    shown = as_plain_text(text, longest)
    assert len(shown) <= longest
    assert shown.isprintable()
    assert len(shown.splitlines()) <= 1
    assert shown.encode().decode() == shown
    assert "::group::" not in shown
    assert "::endgroup::" not in shown
    assert not [sign for sign in shown if unicodedata.category(sign) in ("Cc", "Cf", "Cs", "Co", "Cn")]
    assert as_plain_text(shown, longest) == shown


@pytest.mark.attack
def test_a_text_is_cut_and_says_so() -> None:
    assert as_plain_text("x" * LONGEST) == "x" * LONGEST
    assert as_plain_text("x" * (LONGEST + 1)) == "x" * (LONGEST - 1) + "…"
    assert as_plain_text("x" * 5_000_000) == "x" * (LONGEST - 1) + "…"
    assert as_plain_text("\n" * 3_000, 10) == "…"
    assert as_plain_text("a\n\n\n\n\n\nb", 10) == r"a\n\n\n\n…"


@pytest.mark.attack
@pytest.mark.parametrize("kept", range(1_380, 1_520))
def test_a_secret_is_not_cut_in_two_where_a_text_is_cut(kept: int) -> None:
    shown = as_plain_text("x" * kept + f" /rest/1/{SECRET}/profile" + "y" * 5_000)
    assert SECRET[:3] not in shown
    assert len(shown) <= LONGEST


@pytest.mark.attack
def test_what_cannot_be_told_is_named_by_its_kind() -> None:
    deep: list[object] = []
    for _ in range(100_000):
        deep = [deep]
    assert as_plain_text(deep) == "(list)"
    assert as_plain_text(10**5_000) == "(int)"
    assert as_plain_text({"a\n": 10**5_000}, spelt=repr) == "(dict)"
    assert as_plain_text({"a\n": "\u202e"}) == r"{'a\n': '\u202e'}"
