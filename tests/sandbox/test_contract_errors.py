"""Every refusal of the link methods: status, code and text."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from airflow_bitrix.core.families import family_of

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client, Contacts

MISSING = 2_000_000_000
QUOTED = "The parameter 'ownerEntityID' is invalid or not defined."
UNQUOTED = "The parameter ownerEntityID is invalid or not defined."
NO_FIELDS = "The parameter 'fields' must be array."
NO_ITEM = "The parameter 'item' must be array."
NO_ITEMS = "The parameter items must be array."
NOT_VALID = "The parameter 'fields' is not valid."
FIELDS = {"fields": {"CONTACT_ID": "A"}}
ITEMS = {"items": [{"CONTACT_ID": "A"}]}
WRITES: list[tuple[str, dict[str, Any]]] = [
    ("add", FIELDS),
    ("delete", FIELDS),
    ("items.get", {}),
    ("items.set", ITEMS),
    ("items.delete", {}),
]


@dataclass(frozen=True)
class Row:
    """A bad call and the text of its refusal, which has status 400 and an empty code."""

    says: str
    verb: str
    params: dict[str, Any]
    text: str


def _bad_ids() -> list[Row]:
    texts = {"add": QUOTED, "delete": QUOTED}
    bad: dict[str, dict[str, Any]] = {
        "missing": {},
        "0": {"id": 0},
        "negative": {"id": -5},
        "no number": {"id": "five"},
        "Id": {"Id": "OWNER"},
    }
    return [
        Row(f"id {says}", verb, {**params, **sent}, texts.get(verb, UNQUOTED))
        for verb, params in WRITES
        for says, sent in bad.items()
    ]


def _bad_arrays() -> list[Row]:
    texts = {"add": ("fields", NO_FIELDS), "delete": ("fields", NO_ITEM), "items.set": ("items", NO_ITEMS)}
    bad: dict[str, Any] = {"absent": None, "a string": "x", "empty string": "", "a number": 5}
    return [
        Row(f"{name} {says}", verb, {"id": "OWNER", **({} if value is None else {name: value})}, text)
        for verb, (name, text) in texts.items()
        for says, value in bad.items()
    ]


def _bad_contacts() -> list[Row]:
    bad: dict[str, Any] = {
        "absent": {},
        "0": {"CONTACT_ID": 0},
        "negative": {"CONTACT_ID": -1},
        "no number": {"CONTACT_ID": "x"},
        "in small letters": {"contactId": "A"},
    }
    return [
        Row(f"contact {says}", verb, {"id": "OWNER", "fields": fields}, NOT_VALID)
        for verb in ("add", "delete")
        for says, fields in bad.items()
    ]


ROWS = [
    *_bad_ids(),
    *_bad_arrays(),
    *_bad_contacts(),
    Row("owner missing", "add", {"id": MISSING, **FIELDS}, "Not found."),
    Row("owner missing", "delete", {"id": MISSING, **FIELDS}, "Not found."),
    Row("owner missing", "items.set", {"id": MISSING, **ITEMS}, "Not found."),
    Row("the array is looked at before the owner", "add", {"id": MISSING}, NO_FIELDS),
    Row("the owner is looked at before the contact", "add", {"id": MISSING, "fields": {}}, "Not found."),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.verb}: {row.says}")
def test_refusal(portal: Client, kind: str, owner: int, contacts: Contacts, row: Row) -> None:
    sent = type(contacts)(contacts, OWNER=owner).named(row.params)
    assert portal.call(f"crm.{kind}.contact.{row.verb}", sent).error == (400, "", row.text)


def test_links_of_a_missing_owner_are_an_empty_list(portal: Client, kind: str) -> None:
    assert portal.call(f"crm.{kind}.contact.items.get", {"id": MISSING}).result == []


def test_clearing_a_missing_owner_is_true(portal: Client, kind: str) -> None:
    assert portal.call(f"crm.{kind}.contact.items.delete", {"id": MISSING}).result is True


@pytest.mark.parametrize("verb", ["items.get", "items.delete"])
def test_a_missing_owner_is_not_found_where_the_switch_says_so(
    sandbox: Sandbox, client: Client, kind: str, verb: str
) -> None:
    sandbox.set_switches(missing_owner_items_get="not_found")
    reply = client.call(f"crm.{kind}.contact.{verb}", {"id": MISSING})
    assert reply.error == (400, "", "Not found.")


def test_not_found_has_the_documented_code_where_the_switch_says_so(
    sandbox: Sandbox, client: Client, kind: str
) -> None:
    sandbox.set_switches(not_found_code="NOT_FOUND")
    reply = client.call(f"crm.{kind}.contact.add", {"id": MISSING, "fields": {"CONTACT_ID": 1}})
    assert reply.error == (400, "NOT_FOUND", "Not found.")


def test_an_administrator_can_link_a_contact_that_does_not_exist(
    portal: Client, kind: str, owner: int
) -> None:
    fields = {"fields": {"CONTACT_ID": MISSING}}
    assert portal.call(f"crm.{kind}.contact.delete", {"id": owner, **fields}).result is False
    assert portal.call(f"crm.{kind}.contact.add", {"id": owner, **fields}).result is True
    assert portal.links(kind, owner) == [(MISSING, 10, "Y")]
    items = {"items": [{"CONTACT_ID": MISSING - 1}]}
    assert portal.call(f"crm.{kind}.contact.items.set", {"id": owner, **items}).result is True
    assert portal.links(kind, owner) == [(MISSING - 1, 10, "Y")]


def test_an_unknown_method_is_not_found(portal: Client, kind: str) -> None:
    reply = portal.call(f"crm.{kind}.contact.items.add", {"id": 1})
    assert reply.error == (404, "ERROR_METHOD_NOT_FOUND", "Method not found!")


# What only another user meets


def _own_and_foreign(sandbox: Sandbox, kind: Any) -> tuple[int, int]:
    return sandbox.state.add(kind, {}, user=1), sandbox.state.add(kind, {}, user=2)


@pytest.mark.parametrize(("verb", "params"), WRITES, ids=[verb for verb, _ in WRITES])
@pytest.mark.parametrize("which", ["of somebody else", "missing"])
def test_a_limited_user_is_refused_owners(  # noqa: PLR0917 - fixtures and a table
    sandbox: Sandbox, client: Client, kind: Any, verb: str, params: Any, which: str
) -> None:
    own, foreign = _own_and_foreign(sandbox, kind)
    contact = sandbox.state.add("contact", {}, user=1)
    sandbox.set_switches(limited_user=True)
    sent = {name: {"CONTACT_ID": contact} if name == "fields" else [] for name in params}
    method = f"crm.{kind}.contact.{verb}"
    refused = client.call(method, {"id": MISSING if which == "missing" else foreign, **sent})
    assert refused.error == (403, "ACCESS_DENIED", "Access denied!")
    assert client.call(method, {"id": own, **sent}).status == 200


@pytest.mark.parametrize("verb", ["add", "delete"])
@pytest.mark.parametrize("which", ["of somebody else", "missing"])
def test_a_limited_user_is_refused_contacts(
    sandbox: Sandbox, client: Client, kind: Any, verb: str, which: str
) -> None:
    own, _ = _own_and_foreign(sandbox, kind)
    contact = MISSING if which == "missing" else sandbox.state.add("contact", {}, user=2)
    sandbox.set_switches(limited_user=True)
    reply = client.call(f"crm.{kind}.contact.{verb}", {"id": own, "fields": {"CONTACT_ID": contact}})
    assert reply.status == 400
    assert reply.body["error"] == ""
    assert reply.body["error_description"].startswith(f"[Contact #{contact}] ")


def test_set_asks_for_contact_1_whatever_is_set(sandbox: Sandbox, client: Client, kind: Any) -> None:
    own, _ = _own_and_foreign(sandbox, kind)
    contacts = [sandbox.state.add("contact", {}, user=1) for _ in range(2)]
    method, links = f"crm.{kind}.contact.items.set", [{"CONTACT_ID": one} for one in contacts]
    assert client.call(method, {"id": own, "items": links}).result is True
    sandbox.set_switches(refuse_contacts_read=[1])
    assert client.call(method, {"id": own, "items": links}).result is True
    reply = client.call(method, {"id": own, "items": links[:1]})
    assert reply.body["error_description"].startswith("[Contact #1] ")
    assert [one for one, *_ in client.links(kind, own)] == contacts


# Who may call at all


@pytest.mark.parametrize(("auth_status", "status"), [("docs", 403), ("source", 401)])
def test_a_wrong_code_or_user_is_refused(
    sandbox: Sandbox, client: Client, auth_status: str, status: int
) -> None:
    sandbox.set_switches(auth_status=auth_status)
    for user, code in ((1, "wrong"), (2, sandbox.code)):
        client.url = f"{sandbox.base_url}/rest/{user}/{code}/"
        assert client.call("profile").error == (status, "INVALID_CREDENTIALS", "Invalid request credentials")
    client.url = f"{sandbox.base_url}/rest/"
    assert client.call("profile").error == (401, "NO_AUTH_FOUND", "Wrong authorization data")


@pytest.mark.parametrize(("auth_status", "status"), [("docs", 403), ("source", 401)])
def test_a_missing_scope_is_refused(sandbox: Sandbox, client: Client, auth_status: str, status: int) -> None:
    sandbox.set_switches(auth_status=auth_status, scope=["user"])
    refused = client.call("crm.lead.contact.items.get", {"id": 1})
    assert (refused.status, refused.body["error"]) == (status, "insufficient_scope")
    assert client.call("scope").result == ["user"]
    assert client.call("method.get", {"name": "crm.lead.list"}).result == {
        "isExisting": True,
        "isAvailable": False,
    }
    in_batch = client.batch({"c0": "crm.lead.contact.items.get?id=1", "c1": "profile"})
    assert in_batch["result_error"] == {"c0": {"error": "insufficient_scope", "error_description": ""}}
    assert list(in_batch["result"]) == ["c1"]


REFUSALS: list[tuple[str, str, str, int, int]] = [
    ("revoked", "INVALID_CREDENTIALS", "Invalid request credentials", 403, 401),
    ("overload", "OVERLOAD_LIMIT", "REST API is blocked due to overload.", 503, 401),
    ("no_subscription", "ACCESS_DENIED", "REST is available only by subscription.", 403, 401),
    ("portal_deleted", "PORTAL_DELETED", "Portal was deleted", 500, 403),
    ("no_user", "authorization_error", "Unable to authorize user", 401, 401),
]


@pytest.mark.parametrize(("why", "code", "text", "documented", "in_source"), REFUSALS, ids=str)
def test_a_portal_may_take_no_request_at_all(  # noqa: PLR0917 - fixtures and a table
    sandbox: Sandbox, client: Client, why: str, code: str, text: str, documented: int, in_source: int
) -> None:
    sandbox.set_switches(refusal=why)
    assert client.call("profile").error == (documented, code, text)
    assert client.call("batch", {"cmd": {"a": "profile"}}).error == (documented, code, text)
    sandbox.set_switches(auth_status="source")
    assert client.call("profile").error == (in_source, code, text)
    sandbox.reset_switches()
    assert client.call("profile").status == 200


def test_a_webhook_may_be_revoked_after_some_requests(sandbox: Sandbox, client: Client) -> None:
    client.call("profile")
    sandbox.set_switches(refusal="revoked", refusal_after=2)
    assert [client.call("profile").status for _ in range(4)] == [200, 200, 403, 403]
    sandbox.set_switches(refusal_after=1)
    assert [client.call("profile").status for _ in range(3)] == [200, 403, 403]


# A role that reads and does not write


def _writes(kind: str, record_id: int) -> list[tuple[str, dict[str, Any]]]:
    number = family_of(kind).entity_type_id
    item = {"entityTypeId": number, "id": record_id, "fields": {"title": "x"}}
    return [
        *[
            (f"crm.{kind}.contact.{verb}", {"id": record_id, "fields": {"CONTACT_ID": 7}})
            for verb in ("add", "delete")
        ],
        (f"crm.{kind}.contact.items.set", {"id": record_id, "items": [{"CONTACT_ID": 7}]}),
        (f"crm.{kind}.contact.items.delete", {"id": record_id}),
        (f"crm.{kind}.update", {"id": record_id, "fields": {"TITLE": "x"}}),
        (f"crm.{kind}.delete", {"id": record_id}),
        ("crm.item.update", item),
        ("crm.item.delete", item),
    ]


@pytest.mark.parametrize("updates", ["own", "none"])
def test_who_may_read_and_not_update_sees_everything_and_changes_nothing(
    sandbox: Sandbox, client: Client, kind: Any, updates: str
) -> None:
    foreign = next(one for one, row in sandbox.state.tables[kind].rows.items() if row["ASSIGNED_BY_ID"] != 1)
    before = (sandbox.links(kind), dict(sandbox.state.tables[kind].rows[foreign]))
    sandbox.set_switches(user_updates=updates)
    for method, params in _writes(kind, foreign):
        reply = client.call(method, params)
        assert reply.body["error_description"].rstrip("!.") == "Access denied", method
        if ".contact." in method:
            assert reply.error == (403, "ACCESS_DENIED", "Access denied!")
    assert (sandbox.links(kind), sandbox.state.tables[kind].rows[foreign]) == before
    assert client.call(f"crm.{kind}.contact.items.get", {"id": foreign}).status == 200
    assert client.call(f"crm.{kind}.get", {"id": foreign}).status == 200
    assert client.call(f"crm.{kind}.list").body["total"] == len(sandbox.state.tables[kind].ids)


def test_own_records_may_be_changed_where_the_role_says_so_and_none_be_made_where_it_says_none(
    sandbox: Sandbox, client: Client
) -> None:
    sandbox.set_switches(user_updates="own")
    lead = client.call("crm.lead.add", {"fields": {}}).result
    for method, params in _writes("lead", lead)[:-3]:
        assert client.call(method, params).status == 200, method
    sandbox.set_switches(user_updates="none")
    assert client.call("crm.lead.add", {"fields": {}}).error == (400, "", "Access denied.")
    refused = client.call("crm.item.add", {"entityTypeId": 1, "fields": {}})
    assert refused.error == (400, "ACCESS_DENIED", "Access denied.")
