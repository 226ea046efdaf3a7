"""What a record of the target is known by."""

from __future__ import annotations

from typing import Any

import pytest

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.matching import Matching, as_text


def test_an_origin_is_the_originator_and_the_source_s_id() -> None:
    matching = Matching("origin", originator="old")
    assert matching.key(5, {}) == ("old", "5")
    assert matching.condition("old", ["5", "6"]) == {"=originatorId": "old", "@originId": ["5", "6"]}
    assert matching.keys_of({"originatorId": "old", "originId": 5}) == [("old", "5")]


@pytest.mark.parametrize(
    "fields",
    [{}, {"originatorId": "erp", "originId": None}, {"originatorId": "", "originId": "7"}],
)
def test_a_record_without_an_origin_matches_nothing(fields: dict[str, Any]) -> None:
    matching = Matching("same_origin")
    assert matching.key(5, fields) is None
    assert matching.key(5, {"originatorId": "erp", "originId": 7}) == ("erp", "7")


@pytest.mark.parametrize(
    ("value", "keys"),
    [
        ("5", ["5"]),
        (5, ["5"]),
        (5.0, ["5"]),
        (5.5, ["5.5"]),
        (None, [""]),
        (True, [""]),
        (["5", 6], ["5", "6"]),
        ([], []),
    ],
)
def test_a_field_may_hold_a_number_a_text_or_several(value: Any, keys: list[str]) -> None:
    matching = Matching("field", match_field="ufCrmSourceId")
    assert matching.keys_of({"ufCrmSourceId": value}) == [("", key) for key in keys]
    assert matching.key(5, {}) == ("", as_text(5))


@pytest.mark.parametrize(
    ("by", "said"),
    [
        ("name", "match: "),
        ("origin", r"originator: '' .* by which match 'origin' goes$"),
        ("field", r"match_field: '' .* by which match 'field' goes$"),
    ],
)
def test_a_matching_without_what_it_goes_by_is_refused(by: Any, said: str) -> None:
    with pytest.raises(InvalidInput, match=f"^{said}"):
        Matching(by)
