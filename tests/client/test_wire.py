"""Calls to requests, faults to errors, and which calls may be made again."""

from __future__ import annotations

import json
import math
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from airflow_bitrix.client.wire import (
    Call,
    Fault,
    FaultKind,
    Reply,
    error_of,
    may_repeat,
    request_of,
)
from airflow_bitrix.core.errors import (
    AuthFailed,
    Bitrix24Error,
    InvalidInput,
    OutcomeUnknown,
    PortalAnswer,
    Rejected,
    RetryLater,
)
from airflow_bitrix.core.methods import METHODS

# -- requests ----------------------------------------------------------------------------------------------


def test_parameters_travel_as_json_which_keeps_their_types() -> None:
    params = {"id": 5, "fields": {"A": True, "B": None, "C": [], "D": "Привет & +", "E": 1.5}}
    request = request_of(Call("crm.lead.update", params))
    assert request.method == "crm.lead.update"
    assert json.loads(request.body) == params


def test_a_call_without_parameters_posts_an_empty_object() -> None:
    assert request_of(Call("profile")).body == b"{}"


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, -math.inf, date(2026, 1, 2), Decimal("1.5"), {1, 2}, b"x", object(), "\ud83d"],
    ids=lambda value: ascii(value)[:20],
)
def test_a_value_that_json_cannot_say_is_refused_before_it_is_sent(value: object) -> None:
    """The portal swallows a body that it cannot read and goes on without any parameters."""
    with pytest.raises(InvalidInput, match=r"crm\.lead\.update"):
        request_of(Call("crm.lead.update", {"id": 5, "fields": {"A": value}}))


@pytest.mark.parametrize(
    "method",
    [
        "",
        " ",
        "profile ",
        "profile\n",
        "../profile",
        "a/b",
        "a?b",
        "a#b",
        ".a",
        "a.",
        "a..b",
        "привет",
        None,
        5,
        b"a",
    ],
    ids=ascii,
)
def test_what_is_no_method_name_never_becomes_a_part_of_an_address(method: Any) -> None:
    with pytest.raises(InvalidInput, match=r"^method: "):
        Call(method)


@pytest.mark.parametrize("params", [["id", 5], "id=5", 5, [("id", 5)]], ids=repr)
def test_parameters_that_are_no_map_are_refused(params: Any) -> None:
    """The portal would read none of them, and answer a broader question."""
    with pytest.raises(InvalidInput, match=r"^params"):
        Call("crm.lead.list", params)


@pytest.mark.parametrize(
    ("call", "shown"),
    [
        (Call("crm.lead.contact.add", {"id": 5, "fields": {"NAME": "Ann"}}), "crm.lead.contact.add (lead 5)"),
        (Call("crm.deal.contact.items.get", {"ID": "6"}), "crm.deal.contact.items.get (deal 6)"),
        (Call("crm.lead.contact.fields"), "crm.lead.contact.fields"),
        (Call("crm.lead.update", {"id": 5}), "crm.lead.update"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_call_is_shown_as_method_and_owner_without_its_parameters(call: Call, shown: str) -> None:
    assert str(call) == shown


def test_neither_bodies_nor_addresses_stand_in_a_repr() -> None:
    request = request_of(Call("crm.contact.add", {"fields": {"NAME": "secret"}}))
    reply = Reply(302, b"secret", location="https://acme.bitrix24.com/rest/1/secret/profile")
    assert "secret" not in repr(request) + repr(reply)


# -- what may be repeated ----------------------------------------------------------------------------------


REPEATABLE = ["crm.item.list", "crm.lead.get", "crm.lead.fields", "crm.lead.update", "crm.item.update"]
REPEATABLE += [
    "crm.address.getzoneid",
    "profile",
    "scope",
    "method.get",
    "crm.duplicate.findbycomm",
    "crm.deal.productrows.set",
]
CREATING = [
    "crm.lead.add",
    "crm.item.add",
    "crm.contact.add",
    "crm.item.batchImport",
    "crm.entity.mergeBatch",
]
CREATING += ["im.notify", "bizproc.workflow.start", "crm.timeline.comment.add", "user.add", "crm.lead.delete"]


@pytest.mark.parametrize("method", [*METHODS, *REPEATABLE])
def test_a_link_method_a_reading_method_and_a_state_writing_method_may_be_repeated(method: str) -> None:
    assert may_repeat(Call(method))


@pytest.mark.parametrize("method", CREATING)
def test_a_method_that_makes_or_removes_a_record_may_not_be_repeated(method: str) -> None:
    assert not may_repeat(Call(method))


def test_a_batch_of_somebodys_own_making_may_not_be_repeated_since_it_may_hold_anything() -> None:
    assert not may_repeat(Call("batch", {"halt": 0, "cmd": {"a": "crm.lead.add?fields[TITLE]=x"}}))


# -- errors ------------------------------------------------------------------------------------------------


LINK = Call("crm.lead.contact.add", {"id": 5})
MAKE = Call("crm.lead.add")
SAID = PortalAnswer("CODE", "said so", 400)

ERRORS: list[tuple[Call, FaultKind, type[Bitrix24Error]]] = [
    *[(LINK, kind, RetryLater) for kind in (FaultKind.THROTTLED, FaultKind.RESTING, FaultKind.UNREACHABLE)],
    *[(MAKE, kind, RetryLater) for kind in (FaultKind.THROTTLED, FaultKind.RESTING, FaultKind.UNREACHABLE)],
    (LINK, FaultKind.BROKEN, RetryLater),
    (MAKE, FaultKind.BROKEN, OutcomeUnknown),
    (LINK, FaultKind.REJECTED, Rejected),
    (LINK, FaultKind.AUTH, AuthFailed),
]


@pytest.mark.parametrize(
    ("call", "kind", "error_type"), ERRORS, ids=lambda value: str(getattr(value, "name", value))
)
def test_an_error_tells_what_to_do_next_and_carries_all_that_is_known(
    call: Call, kind: FaultKind, error_type: type[Bitrix24Error]
) -> None:
    error = error_of(call, Fault(kind, SAID))
    assert type(error) is error_type
    assert str(error).startswith(f"{call}: ")
    assert str(error).endswith("CODE: said so")
    assert (error.answer, error.method, error.owner) == (SAID, call.method, call.owner)


def test_every_kind_of_fault_has_an_error() -> None:
    for kind in FaultKind:
        assert str(error_of(LINK, Fault(kind, SAID))).startswith(str(LINK))


def test_a_missing_scope_is_told_apart_from_a_wrong_webhook() -> None:
    lacks = error_of(LINK, Fault(FaultKind.AUTH, PortalAnswer("insufficient_scope", "", 401)))
    wrong = error_of(LINK, Fault(FaultKind.AUTH, PortalAnswer("INVALID_CREDENTIALS", "", 401)))
    assert "lacks the scope" in str(lacks)
    assert "does not accept the webhook" in str(wrong)
