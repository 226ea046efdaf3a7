"""Comments on timelines and messages to people: what the portal takes, tells, and shows on its pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests

if TYPE_CHECKING:
    from airflow_bitrix.sandbox.server import Sandbox
    from tests.sandbox.conftest import Client

ADD, LIST = "crm.timeline.comment.add", "crm.timeline.comment.list"


def comment(client: Client, kind: str, owner_id: int, text: str) -> int:
    fields = {"ENTITY_ID": owner_id, "ENTITY_TYPE": kind, "COMMENT": text}
    made: int = client.call(ADD, {"fields": fields}).result
    return made


def on(kind: str, owner_id: int, **more: Any) -> dict[str, Any]:
    return {"filter": {"ENTITY_ID": owner_id, "ENTITY_TYPE": kind}, **more}


def test_comments_are_made_listed_and_deleted(portal: Client, kind: str, owner: int) -> None:
    first, second = (comment(portal, kind, owner, text) for text in ("First", "Second"))
    body = portal.call(LIST, on(kind, owner, order={"ID": "DESC"})).body
    assert [(row["ID"], row["COMMENT"]) for row in body["result"]] == [
        (str(second), "Second"),
        (str(first), "First"),
    ]
    assert body["total"] == 2
    assert {row["ENTITY_TYPE"] for row in body["result"]} == {kind}
    assert portal.call("crm.timeline.comment.delete", {"id": first}).result is None
    assert [row["ID"] for row in portal.call(LIST, on(kind, owner)).result] == [str(second)]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({}, "100"),
        ({"FIELDS": {"ENTITY_ID": 1, "ENTITY_TYPE": "lead", "COMMENT": "x"}}, "100"),
        ({"fields": {"ENTITY_TYPE": "lead", "COMMENT": "x"}}, "100"),
        ({"fields": {"ENTITY_ID": 2_000_000_000, "ENTITY_TYPE": "lead", "COMMENT": "x"}}, "OWNER_NOT_FOUND"),
        ({"fields": {"ENTITY_ID": 1, "ENTITY_TYPE": "lead", "COMMENT": " "}}, "INVALID_ARG_VALUE"),
    ],
)
def test_comments_that_are_refused(sandbox: Sandbox, client: Client, params: Any, code: str) -> None:
    assert client.call(ADD, params).error[:2] == (400, code)
    assert client.call(LIST, {"filter": {"ENTITY_TYPE": "lead"}}).error == (400, "", "Access denied.")
    assert client.call("crm.timeline.comment.delete", {"id": 99}).error == (400, "NOT_FOUND", "Not found.")
    assert not sandbox.state.comments


def test_who_may_not_change_a_record_may_not_comment_on_it(sandbox: Sandbox, client: Client) -> None:
    sandbox.set_switches(user_updates="none")
    fields = {"ENTITY_ID": 1, "ENTITY_TYPE": "lead", "COMMENT": "x"}
    assert client.call(ADD, {"fields": fields}).error == (403, "ACCESS_DENIED", "Access denied.")


def test_comments_come_in_pages_and_are_seen_by_the_controls_and_on_the_card(
    sandbox: Sandbox, client: Client
) -> None:
    for number in range(60):
        comment(client, "deal", 5, f"[B]{number}[/B] <i>& [URL=https://a.b/?c=1&d]there[/URL]")
    pages = [client.call(LIST, on("deal", 5, start=start, select=["ID"])).body for start in (0, 50)]
    assert [len(page["result"]) for page in pages] == [50, 10]
    assert pages[0]["next"] == 50
    assert set(pages[0]["result"][0]) == {"ID"}
    told = requests.get(f"{sandbox.base_url}/__sandbox/comments", timeout=10).json()
    assert [one["owner_id"] for one in told] == [5] * 60
    assert [write.owner_id for write in sandbox.portal.writes] == [5] * 60
    page = requests.get(f"{sandbox.base_url}/crm/deal/details/5/", timeout=10).text
    assert '<b>59</b> &lt;i&gt;&amp; <a href="https://a.b/?c=1&amp;d">there</a>' in page
    assert page.index("<b>59</b>") < page.index("<b>0</b>")


def test_messages_need_their_scope_and_reach_users_and_chats(sandbox: Sandbox, client: Client) -> None:
    said = {"USER_ID": 7, "MESSAGE": " Plan [B]ready[/B]: https://a.b/c?d=1&e "}
    assert client.call("im.notify.personal.add", said).error[:2] == (403, "insufficient_scope")
    sandbox.set_switches(scope=["crm", "user", "im"], chats=[3])
    assert client.call("im.notify.personal.add", said).result
    for dialog in ("chat3", "8"):
        assert client.call("im.message.add", {"DIALOG_ID": dialog, "MESSAGE": "To " + dialog}).result
    told = requests.get(f"{sandbox.base_url}/__sandbox/messages", timeout=10).json()
    assert [(one["to"], one["kind"], one["text"]) for one in told] == [
        ("user 7", "notification", "Plan [B]ready[/B]: https://a.b/c?d=1&e"),
        ("chat3", "message", "To chat3"),
        ("user 8", "message", "To 8"),
    ]
    page = requests.get(f"{sandbox.base_url}/online/", timeout=10).text
    assert "notification to user 7" in page
    assert 'Plan <b>ready</b>: <a href="https://a.b/c?d=1&amp;e">https://a.b/c?d=1&amp;e</a></div>' in page


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("im.notify.personal.add", {"MESSAGE": "x"}, "USER_ID_EMPTY"),
        ("im.notify.personal.add", {"USER_ID": 1}, "MESSAGE_EMPTY"),
        ("im.message.add", {"MESSAGE": "x"}, "USER_ID_EMPTY"),
        ("im.message.add", {"DIALOG_ID": "chat", "MESSAGE": "x"}, "CHAT_ID_EMPTY"),
        ("im.message.add", {"DIALOG_ID": "chat1", "MESSAGE": ""}, "MESSAGE_EMPTY"),
        ("im.message.add", {"DIALOG_ID": "chat99", "MESSAGE": "x"}, "ACCESS_ERROR"),
    ],
)
def test_messages_that_are_refused(
    sandbox: Sandbox, client: Client, method: str, params: Any, code: str
) -> None:
    sandbox.set_switches(scope=["im"])
    assert client.call(method, params).body["error"] == code
    assert not sandbox.state.messages
