"""What a report begins with: a sentence, what happened and when, the pace, and what to do next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest
from msgspec import structs

from airflow_bitrix.core.guards import Guards
from airflow_bitrix.core.languages import speaking
from airflow_bitrix.core.restores import Origin
from airflow_bitrix.files.apply_costs import ApplyCost
from airflow_bitrix.files.apply_times import ApplyTimes
from airflow_bitrix.files.approvals import Approval
from airflow_bitrix.files.taken_back import TakenBack
from airflow_bitrix.report.offers import Places, next_steps
from airflow_bitrix.report.opening import opening
from airflow_bitrix.report.pace import pace_of
from airflow_bitrix.report.summary import Summary
from airflow_bitrix.report.timeline import timeline
from tests.report.summaries import ALL, EVIL, FOLDER, Page, as_html, outcome, summary

LEFT = "left alone: 1,203 leads (1,200 converted, 3 held by a company)"
DONE = [outcome(number) for number in range(1, 6)]
APPROVED = Approval("0" * 64, "approved", "2026-11-21T10:00:30+00:00", "Olga", "2999-11-22T10:00:30+00:00")
OVER = structs.replace(APPROVED, until="2026-11-21T11:00:00+00:00")
WAITING = structs.replace(APPROVED, answer="waiting", by="")
RESTORE: dict[str, Any] = {
    "rules": ("restore",),
    "origin": Origin("journal", "/runs/a", "2026-11-20T10:00:00+00:00"),
}
MOVED: dict[str, Any] = {"rules": ("contact_map",), "kind": "deal"}


def planned(approval: Approval | None = None, **about: Any) -> Summary:
    return replace(summary([], **about), approval=approval)


def no_counts(read: int = 0) -> dict[str, Any]:
    return {"read": read, "changes": 0, "emptied": 0, "by_rule": {}, "left_out": {}}


@pytest.mark.parametrize(
    ("made", "run", "is_begun", "said"),
    [
        (planned(), "running", False, "5 of 2,000 leads will be released"),
        (planned(WAITING), "running", False, "5 of 2,000 leads will be released, once somebody approves"),
        (summary(DONE[:2]), "running", True, "The run has released 2 of 5 leads so far"),
        (summary(DONE), "success", True, "The run released 5 of 2,000 leads"),
        (summary(DONE[:2]), "failed", True, "The run released 2 of 5 leads, and ended early"),
        (summary(ALL, dry_run=True), "success", True, "A real run would release 5 of 2,000 leads"),
        (
            planned(structs.replace(APPROVED, answer="rejected")),
            "success",
            False,
            "Nothing was written: Olga has rejected the release of 5 of 2,000 leads",
        ),
        (
            planned(structs.replace(APPROVED, answer="unanswered")),
            "failed",
            False,
            "Nothing was written: nobody approved the release of 5 of 2,000 leads in time",
        ),
        (
            planned(OVER),
            "failed",
            False,
            "Nothing was written: the approval of the release of 5 of 2,000 leads has expired",
        ),
        (
            planned(guards=Guards(max_changes=1)),
            "failed",
            False,
            "Nothing was written: a limit stops the release of 5 of 2,000 leads",
        ),
        (
            planned(),
            "failed",
            False,
            "Nothing was written: the run failed ahead of the release of 5 of 2,000 leads",
        ),
        (summary(DONE, **RESTORE), "", True, "The run brought the contacts of 5 of 2,000 leads back"),
        (summary(DONE, **MOVED), "", True, "The run changed the contacts of 5 of 2,000 deals"),
        (
            summary(DONE, **{**MOVED, "kind": "contact"}),
            "",
            True,
            "The run changed the companies of 5 of 2,000 contacts",
        ),
    ],
)
def test_a_report_begins_with_a_sentence_that_fits_the_state_of_the_run(
    made: Summary, run: str, *, is_begun: bool, said: str
) -> None:
    left = LEFT.replace("leads", f"{made.manifest.kind}s")
    told = opening(made, run, is_begun=is_begun)
    assert told.startswith(f"{said}; {left}")
    assert told.endswith(".")


def test_what_became_of_the_others_stands_behind_the_sentence() -> None:
    told = opening(summary([outcome(1), outcome(2, "drift", "x"), outcome(3, "failed", "y")]), "failed")
    assert told.endswith(
        "; changed by somebody else meanwhile, and left alone: 1; failed: 1; without an outcome: 2."
    )


def test_an_empty_plan_has_a_sentence_of_its_own() -> None:
    assert opening(summary([], planned=0, counts=no_counts())) == "Nothing was found that this run is about."
    told = opening(summary([], planned=0, counts=no_counts(7)))
    assert told == "Nothing is to be changed among 7 leads."


def test_where_all_are_changed_none_are_told_apart_and_most_reasons_are_summed_up() -> None:
    left = {f"why {number}": number for number in range(1, 6)}
    counts = {**no_counts(5), "left_out": left}
    told = opening(summary(DONE, counts=counts))
    reasons = "5 why 5, 4 why 4, 3 why 3, 3 for other reasons"
    assert told == f"The run released 5 leads; left alone: 15 leads ({reasons})."


def test_the_sentence_is_spoken_in_russian_too() -> None:
    with speaking("ru"):
        told = opening(summary(DONE))
        assert told.startswith("Освобождено: 5 из 2\xa0000 лидов; без изменений: 1\xa0203 лида (")
        moved = summary(DONE[:1], planned=1, counts=no_counts(21), rules=("contact_map",))
        assert opening(moved) == "Изменены контакты 1 из 21 лида."


@pytest.mark.attack
def test_words_of_others_stay_words_in_the_sentence() -> None:
    counts = {**no_counts(5), "left_out": {f"{EVIL}\u202e{{by}}": 1}}
    made = replace(
        summary([], counts=counts), approval=structs.replace(APPROVED, answer="rejected", by=f"{EVIL}\n")
    )
    told = opening(made, "success", is_begun=False)
    assert told.isprintable()
    assert f"{EVIL} has rejected" in told
    assert "{by}" in told


# -- what happened, and when -------------------------------------------------------------------------------


def told_by(made: Summary, *, live: bool = False) -> list[tuple[Sequence[str], str]]:
    return [([shown for _, shown in one.times], one.text) for one in timeline(made, live=live)]


def test_the_course_of_a_run_is_told_in_its_order() -> None:
    made = replace(
        summary(DONE),
        approval=structs.replace(APPROVED, put="2026-11-21T10:00:10+00:00"),
        times=ApplyTimes(1795255260, 1795255440, Counter({1795255260: 2, 1795255440: 3})),
        checked="2026-11-21T10:05:00+00:00",
        taken_back=[TakenBack("a", "b", "/x", "2026-11-22T10:00:00+00:00", EVIL)],
    )
    assert told_by(made) == [
        (["2026-11-21 10:00 UTC"], "Planned"),
        (["2026-11-21 10:00 UTC"], "Asked for approval"),
        (["2026-11-21 10:00 UTC"], "Approved by Olga, to be used until 2999-11-22 10:00 UTC"),
        (["2026-11-21 10:01 UTC", "2026-11-21 10:04 UTC"], "Written"),
        (["2026-11-21 10:05 UTC"], "Checked: each of them was looked at again"),
        (["2026-11-22 10:00 UTC"], f"Taken back by {EVIL}"),
    ]
    html = as_html(made)
    assert '<ol class="timeline">' in html
    assert html.count("<li><time datetime=") == 6


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("waiting", "Asked for approval; an answer is awaited until 2999-11-22 10:00 UTC"),
        ("rejected", "Rejected by Olga"),
        ("unanswered", "Nobody answered in time"),
        ("not asked", "Nobody was asked to approve: a dry run writes nothing"),
    ],
)
def test_each_answer_has_its_words(answer: Any, said: str) -> None:
    approval = structs.replace(APPROVED, answer=answer, reason="a dry run writes nothing")
    assert told_by(planned(approval))[1] == (["2026-11-21 10:00 UTC"], said)


@pytest.mark.attack
def test_what_has_no_time_is_told_without_one() -> None:
    """Files are edited, and made by other programs."""
    made = replace(
        summary(DONE, created=""),
        approval=structs.replace(APPROVED, at=""),
        taken_back=[TakenBack("a", "b", "/x", "")],
    )
    assert ([], "Planned") in told_by(made)
    assert ([], "Taken back") in told_by(made)
    assert "<li> <span>Planned</span></li>" in as_html(made)


def test_a_dry_run_and_an_apply_that_goes_on_are_not_called_written() -> None:
    assert told_by(summary(ALL, dry_run=True))[-1][1] == "Looked at, and nothing written"
    assert told_by(summary(ALL[:2]), live=True)[-1][1] == "Written, so far"


# -- the pace ----------------------------------------------------------------------------------------------

BEGIN = 1_795_255_260


def paced(seconds: int, done: int = 5) -> Summary:
    """An apply of two changes a second, so far, and so many of five that have their outcome."""
    counts = Counter({BEGIN + at: 10 for at in range(0, seconds, 5)})
    times = ApplyTimes(BEGIN, BEGIN + seconds, counts)
    return replace(summary(DONE[:done]), times=times, effort=ApplyCost(requests=seconds // 2))


def test_the_pace_of_what_is_over_is_told_with_its_requests() -> None:
    found = pace_of(paced(600))
    assert found is not None
    assert found.text == "2 changes and 0.5 requests a second on average, for 10 minutes"
    assert max(found.bars) == 1
    assert '<figure class="pace">' in as_html(paced(600))


def test_what_goes_on_tells_the_time_left_and_nothing_of_it_in_the_first_seconds() -> None:
    made = replace(paced(600, done=2), planned=2 + 7200)
    found = pace_of(made, live=True, now=BEGIN + 601)
    assert found is not None
    assert found.text == "2 changes a second; 60 minutes left"
    assert pace_of(replace(made, times=paced(9).times), live=True, now=BEGIN + 9) is None


def test_an_apply_that_rests_tells_no_time_left() -> None:
    assert pace_of(paced(600, done=2), live=True, now=BEGIN + 600 + 3600) is None


def test_a_dry_run_and_a_run_of_a_second_have_no_pace() -> None:
    assert pace_of(replace(paced(600), dry_run=True)) is None
    assert pace_of(paced(1)) is None
    assert "figure" not in Page(as_html(summary(DONE))).tags


# -- what to do next ---------------------------------------------------------------------------------------

PLACES = Places("dag", "run", "question", "asker", "restore")


@pytest.mark.parametrize(
    ("made", "run", "is_begun", "offered"),
    [
        (planned(WAITING), "running", False, [("Approve or reject", "question")]),
        (planned(WAITING), "failed", False, []),
        (planned(structs.replace(APPROVED, answer="unanswered")), "failed", False, [("Ask again", "asker")]),
        (planned(OVER), "failed", False, [("Ask again", "asker")]),
        (planned(structs.replace(APPROVED, answer="rejected")), "success", False, []),
        (summary(ALL, dry_run=True), "success", True, [("Do it", "dag")]),
        (summary(ALL, dry_run=True, guards=Guards(max_changes=1)), "success", True, []),
        (summary(DONE), "running", True, []),
        (summary(DONE), "success", True, [("Take this run back", "restore")]),
        (
            summary(DONE[:2]),
            "failed",
            True,
            [("Try again what has failed or was not tried", "run"), ("Take this run back", "restore")],
        ),
        (summary([], planned=0, counts=no_counts()), "success", True, []),
    ],
)
def test_what_to_do_next_is_offered_where_there_is_something_to_do(
    made: Summary, run: str, *, is_begun: bool, offered: list[tuple[str, str]]
) -> None:
    found = next_steps(made, FOLDER, PLACES, run, is_begun=is_begun)
    assert [(one.title, one.address) for one in found] == offered
    assert all(one.called for one in found)


def test_a_file_knows_no_pages_of_airflow_and_offers_the_folder_to_copy() -> None:
    (found,) = next_steps(summary(DONE), FOLDER)
    assert (found.address, found.folders) == ("", [("Folder", FOLDER)])
    html = as_html(summary(DONE))
    assert f'value="{FOLDER}"' in html
    assert 'class="button"' not in html
    assert html.index("Take this run back") < html.index("What became of the changes")
