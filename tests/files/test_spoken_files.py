"""What files hold is told apart whatever language the worker spoke that wrote them."""

from __future__ import annotations

from pathlib import Path

from airflow_bitrix.core.languages import LANGUAGES, gettext, speaking
from airflow_bitrix.core.link_writes import unwritable
from airflow_bitrix.core.links import ContactLink, LinkSet, Owner
from airflow_bitrix.core.numbers import LARGEST
from airflow_bitrix.core.plan import Change, ChangeOutcome
from airflow_bitrix.core.restores import Origin
from airflow_bitrix.files.approvals import named_run, shown_run
from airflow_bitrix.files.journals import write_failed
from airflow_bitrix.files.outcome_index import SINCE, _changed_since
from airflow_bitrix.files.taken_back import TakenBack
from airflow_bitrix.operators.shared.shown_limits import as_shown
from airflow_bitrix.report.texts import origin_line, taken_back_line

PORTAL = "https://acme.bitrix24.com"


def test_a_run_has_one_name_in_files_and_another_for_people() -> None:
    with speaking("ru"):
        kept = named_run("clean_up", "manual__1")
        assert shown_run(kept) == "запуск manual__1 DAG clean_up"
        assert shown_run("an apply by hand") == "an apply by hand"
    assert kept == named_run("clean_up", "manual__1") == "run manual__1 of the DAG clean_up"


def test_limits_that_an_approval_kept_are_compared_in_no_language() -> None:
    for given in ({"canary": 2500}, {"canary": 0, "max_failed": 2500, "max_failure_share": "12.5%"}):
        with speaking("ru"):
            there = as_shown(given)
        assert there == as_shown(given)
        assert all(text.isascii() for text in there.values())


def test_a_run_that_took_another_back_is_named_in_the_language_of_the_reader() -> None:
    note = TakenBack("a", "b", "/x", "2026-11-22T10:00:00+00:00", named_run("restore", "manual__1"))
    origin = Origin("journal", "/x", note.at, note.by)
    with speaking("ru"):
        for told in (note.name, taken_back_line(note), origin_line(origin)):
            assert "запуск manual__1 DAG restore" in told


def test_why_an_owner_was_left_out_is_counted_under_one_name() -> None:
    """Runs that speak another language count it alike; who shows it says it in that of the reader."""
    owner = Owner("lead", 1)
    change = Change(LinkSet(owner), LinkSet(owner, (ContactLink(LARGEST + 1),)), (), ())
    groups = set()
    for one in LANGUAGES:
        with speaking(one):
            groups.add(unwritable(change)[0])
    assert groups == {"numbers too large"}
    with speaking("ru"):
        assert gettext("numbers too large") == "слишком большие числа"


def test_what_a_check_found_is_known_again_by_who_speaks_another_language(tmp_path: Path) -> None:
    path = tmp_path / "failed.csv"
    with speaking("ru"):
        reason = f"{gettext(SINCE)}{gettext('now: {missing}', missing='—')}"
        told = [(1, reason), (2, "контакты другие")]
        write_failed(path, [ChangeOutcome(Owner("lead", one), "drift", why) for one, why in told], PORTAL)
    assert "применено" in reason
    for one in LANGUAGES:
        with speaking(one):
            assert _changed_since(path, 9) == {1: reason}
