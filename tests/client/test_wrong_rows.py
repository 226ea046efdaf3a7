"""Whatever rows a portal gives: a list is exact, or an error says what was wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.exclusions import Conditions
from airflow_bitrix.client.list_sweep import ListSweep
from airflow_bitrix.client.listing import Listing
from airflow_bitrix.client.portal import Portal
from airflow_bitrix.client.row_pages import TIMES
from airflow_bitrix.client.wire import Answer
from airflow_bitrix.core.errors import Bitrix24Error, RetryLater
from airflow_bitrix.sandbox import wrong_rows
from airflow_bitrix.sandbox.server import Sandbox

LEADS, ITEMS = "crm.lead.list", "crm.item.list"


@pytest.fixture
def sandbox(make_sandbox: Any) -> Sandbox:
    """Leads whose ids are dense and later far between, so that a list takes several requests."""
    sandbox: Sandbox = make_sandbox(leads=120, contacts=5, plan="self_hosted")
    for at in range(3000, 9000, 100):
        sandbox.state.tables["lead"].next_id = at
        sandbox.state.add("lead", {"TITLE": "far"})
    return sandbox


WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "by ranges": (LEADS, {"select": ["ID", "STATUS_ID"]}),
    "largest first": (ITEMS, {"entityTypeId": 1, "order": {"id": "DESC"}, "select": ["stageId"]}),
    "by the last id": (ITEMS, {"entityTypeId": 1, "filter": {"!opened": True}}),
    "by offset": (ITEMS, {"entityTypeId": 1, "order": {"title": "ASC"}, "select": ["title", "stageId"]}),
    "with a filter": (ITEMS, {"entityTypeId": 1, "filter": {"!stageId": "ELSEWHERE"}, "select": ["stageId"]}),
}

UNSEEN = {
    # Where the field was not asked for, or nothing is known of what it may hold, any value is one.
    "row_excluded", "row_too_old", "stage_dict", "flag_words", "field_missing",
    "contact_ids_missing", "contact_ids_null", "contact_ids_text", "contact_ids_strings", "contact_ids_dict",
    "contact_ids_nulls", "contact_id_words",
}  # fmt: skip
KINDS = [kind for kind in wrong_rows.ALL if kind not in UNSEEN]


def outcome_of(work: Callable[[], Any]) -> Any:
    """Give what some work gives, or its error."""
    try:
        return work()
    except Bitrix24Error as error:
        return error


def ids(rows: list[Any]) -> list[int]:
    return [int(row.get("ID", row.get("id"))) for row in rows]


@pytest.mark.parametrize("way", WAYS)
def test_a_list_is_exact_or_says_what_was_wrong(
    way: str, sandbox: Sandbox, connect: Callable[..., Portal]
) -> None:
    method, params = WAYS[way]
    portal = connect(sandbox.webhook_url)
    expected = ids(list(portal.list(method, params)))
    kinds = [kind for kind in KINDS if way != "by offset" or kind not in OUT_OF_SIGHT]
    for seed, kind in enumerate(kinds):
        sandbox.set_faults(seed=seed, wrong_rows={kind: 0.3 if seed % 2 else 0.05})
        found = outcome_of(lambda: ids(list(portal.list(method, params))))
        assert found == expected or str(found).startswith(f"{method}: "), kind


OUT_OF_SIGHT = {
    # By offset, any order and any id may be right.
    "rows_reversed", "rows_shuffled", "rows_further_on", "rows_further_back", "id_missing", "id_null",
    "id_zero", "id_float", "id_words", "row_empty",
}  # fmt: skip


def test_a_row_that_the_filter_excludes_is_asked_for_again(
    sandbox: Sandbox, connect: Callable[..., Portal]
) -> None:
    params = {"entityTypeId": 1, "filter": {"!stageId": "ELSEWHERE"}, "select": ["stageId"]}
    portal = connect(sandbox.webhook_url)
    expected = list(portal.list(ITEMS, params))
    sandbox.set_faults(seed=4, wrong_rows={"row_excluded": 0.2})
    assert list(portal.list(ITEMS, params)) == expected
    sandbox.set_faults(wrong_rows={"row_excluded": 1.0})
    with pytest.raises(RetryLater, match=r"^crm\.item\.list: .* excludes by '!stageId', such as id \d+$"):
        list(portal.list(ITEMS, params))


def test_a_page_that_stays_short_is_an_error_with_both_numbers(
    sandbox: Sandbox, connect: Callable[..., Portal]
) -> None:
    sandbox.set_faults(wrong_rows={"short_page": 1.0})
    said = r"^crm\.lead\.list: 49 rows came where the portal counts 180, 50 to a page$"
    with pytest.raises(RetryLater, match=said):
        list(connect(sandbox.webhook_url).list(LEADS))
    assert sandbox.stats()["admitted"] == TIMES


# -- whatever is answered ---------------------------------------------------------------------------------

WORDS = st.sampled_from(["", "7", "x"])
SCALARS = st.none() | st.booleans() | st.integers(-5, 120) | st.floats(-3, 120) | WORDS
FIELDS = SCALARS | st.lists(SCALARS, max_size=2)
ROWS = st.dictionaries(st.sampled_from(["id", "ID", "x"]), FIELDS, max_size=3)
LISTS = st.lists(ROWS | SCALARS, max_size=60)
NAMES = st.sampled_from(["items", "tasks", "1"])
RESULTS = LISTS | st.dictionaries(NAMES, LISTS | SCALARS, max_size=2) | SCALARS
ANSWERS = st.builds(Answer, RESULTS, SCALARS | st.lists(SCALARS), SCALARS | st.lists(SCALARS))

LISTED = st.sampled_from(
    [
        (LEADS, {}),
        (ITEMS, {"entityTypeId": 1, "filter": {"x": 7, ">x": "5"}}),
        (ITEMS, {"entityTypeId": 1, "order": {"x": "ASC"}}),
        (ITEMS, {"entityTypeId": 1, "filter": {"@contactIds": [1, 2]}}),
        ("user.get", {"order": "DESC"}),
        ("tasks.task.list", {"limit": 10}),
        ("x.list", {}),
    ]
)


@pytest.mark.drawn
@given(LISTED, st.lists(ANSWERS, min_size=1, max_size=6))
def test_whatever_comes_a_list_gives_rows_or_one_clear_error(
    listed: tuple[str, dict[str, Any]], answers: list[Answer]
) -> None:
    listing = Listing(*listed)
    seen: list[int] = []

    def read() -> None:
        for answer in answers:
            if listing.done:
                break
            listing.call()
            rows = listing.take(answer)
            if listing.in_ranges:
                seen.extend(listing.position(row) for row in rows)

    assert str(outcome_of(read)).startswith(("None", f"{listing.method}: "))
    assert seen == sorted(set(seen))


@pytest.mark.drawn
@given(st.lists(ANSWERS, min_size=1, max_size=5), st.sampled_from(["ASC", "DESC"]))
def test_whatever_comes_a_sweep_gives_rows_or_one_clear_error(answers: list[Answer], order: str) -> None:
    listing = Listing(LEADS, {"order": {"ID": order}})
    first = range(1, 51) if order == "ASC" else range(120, 70, -1)
    page = listing.take(Answer([{"ID": one} for one in first], total=90))
    sweep = ListSweep(listing, page)
    seen: list[int] = []

    def read() -> None:
        for answer in answers:
            if sweep.done or not (ask := sweep.next(3)):
                break
            sweep.take(ask, [answer] * len(ask.calls))
            for some in sweep.pages():
                seen.extend(listing.position(row) for row in some)

    assert str(outcome_of(read)).startswith(("None", f"{LEADS}: "))
    assert seen == sorted(set(seen))


VALUES = SCALARS | st.sampled_from(["NEW", "2026-05-01", "2026-05-01T10:00:00+03:00", "é"])
SIGNS = ("", "=", "!", "!=", "@", "!@", ">", ">=", "<", "<=", "%", "!%")
KEYS = st.sampled_from([sign + "x" for sign in SIGNS])


@pytest.mark.drawn
@given(st.dictionaries(KEYS, VALUES | st.lists(VALUES, max_size=3)), VALUES | st.lists(VALUES, max_size=3))
def test_whatever_a_filter_and_a_row_hold_a_condition_is_broken_or_not(wanted: Any, held: Any) -> None:
    assert Conditions(wanted).broken_by({"x": held}) in (None, *wanted)


@pytest.mark.parametrize(
    ("key", "value", "held", "broken"),
    [
        ("x", "NEW", "JUNK", True),
        ("x", "new", "NEW", False),
        ("x", ["NEW", "JUNK"], "LOSE", True),
        ("@x", [1, "2"], 2, False),
        ("@x", [1, 2], 3, True),
        ("=x", "5", 5, False),
        ("=x", "5", "7", True),
        ("=x", 0, None, False),
        ("=x", True, "N", False),
        ("=x", "Y", "N", True),
        ("=x", "é", "e", False),
        ("=x", "a b", "c", False),
        ("=x", 7, [7, 8], False),
        ("=x", 7, [8], True),
        ("!x", "NEW", "NEW", True),
        ("!x", "NEW", "JUNK", False),
        ("!=x", 5, "5", True),
        ("!x", "", "", False),
        (">x", 1000, 1500.0, False),
        (">x", 1000, 999, True),
        ("<=x", 1000, "1001", False),
        (">=x", "2026-05-01", "2026-04-30T23:00:00+03:00", False),
        (">=x", "2026-05-01", "2026-04-20T23:00:00+03:00", True),
        ("<x", "2026-05-01T00:00:00+00:00", "2026-06-20T23:00:00+03:00", True),
        ("=x", "2026-05-01", "2026-05-01T13:00:00+03:00", False),
        (">x", "01.05.2026", "2026-04-20T23:00:00+03:00", False),
        ("%x", "NEW", "JUNK", False),
        ("contactId", 5, 7, False),
        ("@x", [1, 2], "3", True),
        ("@x", [1, 2], "02", False),
        ("@x", [1, "2.0"], 2, False),
        ("@x", [1, "NEW*"], 3, False),  # of such a text nobody knows what it equals
        ("@x", [1, "NEW*"], "3", False),
    ],
    ids=repr,
)
def test_only_what_is_certain_counts(key: str, value: Any, held: Any, broken: bool) -> None:  # noqa: FBT001
    """The portal compares without case and accents, text with numbers, dates in the user's time zone."""
    field = key.lstrip("!=@<>%")
    assert (Conditions({key: value}).broken_by({field: held}) == key) is broken
    assert Conditions({key: value}).broken_by({}) is None
    assert Conditions({key: value, "logic": "OR"}).broken_by({field: held}) is None
