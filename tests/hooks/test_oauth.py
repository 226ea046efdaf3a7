"""A connection with tokens works as one with a webhook does."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
import requests
from airflow.providers.http.operators.http import HttpOperator

from airflow_bitrix.client.flow import Clock as Waits
from airflow_bitrix.client.kept_tokens import read_kept
from airflow_bitrix.compat import read_variable
from airflow_bitrix.core.errors import AuthFailed, Rejected, RetryLater
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook
from airflow_bitrix.login import log_in, main
from airflow_bitrix.operators.contact_links import Bitrix24LeadContactAddOperator
from airflow_bitrix.sandbox.server import Sandbox
from scripts.processes import free_port
from tests.hooks.applications import CONN_ID, Hours, connect, kept_name, login_of, refreshes


def test_all_that_calls_goes_on_when_the_token_expires(app: Sandbox, hours: Hours) -> None:
    hook, other = Bitrix24Hook(), Bitrix24AsyncHook()
    body = {"id": "1", "fields[CONTACT_ID]": "1"}
    add = Bitrix24LeadContactAddOperator(task_id="add", owner_id=1, contact_id=2)
    stock = HttpOperator(task_id="stock", http_conn_id=CONN_ID, endpoint="crm.lead.contact.add", data=body)
    ways: list[Callable[[], object]] = [
        lambda: hook.call("profile")["ID"],
        lambda: hook.batch([("profile", {})])[0].result["ID"],
        lambda: [row["ID"] for row in hook.list("crm.lead.list")],
        lambda: asyncio.run(other.call("profile"))["ID"],
        lambda: add.execute({}) in (True, False),
        lambda: stock.execute({}),
        lambda: Bitrix24Hook().test_connection()[0],
    ]
    for number, way in enumerate(ways, 1):
        hours.pass_()
        assert way()
        assert refreshes(app) == {"refresh_token": number}
        assert way()
        assert refreshes(app) == {"refresh_token": number}
    kept = json.loads(read_variable(kept_name()))
    assert hook.settings.login.headers_for(app.base_url) != {
        "Authorization": f"Bearer {kept['access_token']}"
    }
    assert Bitrix24Hook().settings.login.headers_for(app.base_url) == {
        "Authorization": f"Bearer {kept['access_token']}"
    }


def test_tokens_that_a_person_puts_into_the_connection_are_newer(
    app: Sandbox, hours: Hours, connection: Any
) -> None:
    hook = Bitrix24Hook()
    hours.pass_()
    hook.call("profile")
    connect(app, connection)
    hours.pass_(0.5)
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    assert refreshes(app) == {"refresh_token": 1}
    hours.pass_()
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    # What goes on with the older ones has its own.
    assert hook.call("profile")["ID"] == "1"
    assert refreshes(app) == {"refresh_token": 3}


WRONG = [
    ({}, {"client_secret": "an0therSecret"}, AuthFailed, "client_id or client_secret of the connection is"),
    ({"application": "revoked"}, {}, AuthFailed, "profile: the application was deleted in the portal, or is"),
    ({"application": "unpaid"}, {}, AuthFailed, "profile: the application was deleted in the portal, or is"),
    (
        {"clocks_apart": 7200},
        {},
        AuthFailed,
        "expired, however new it is: are its clock and that of the OAuth",
    ),
    (
        {},
        {"server_endpoint": "http://127.0.0.1:1"},
        RetryLater,
        "http://127.0.0.1:1 gives no tokens: nothing",
    ),
]


@pytest.mark.parametrize(("switches", "extra", "kind", "said"), WRONG)
def test_what_is_wrong_is_one_clear_sentence(  # noqa: PLR0917 (fixtures)
    switches: dict[str, Any],
    extra: dict[str, Any],
    kind: type[Exception],
    said: str,
    app: Sandbox,
    hours: Hours,
    connection: Any,
) -> None:
    connect(app, connection, **extra)
    hours.pass_()
    app.set_switches(**switches)
    hook = Bitrix24Hook()
    login = hook.settings.login
    login._clock = Waits(sleep=lambda _: None)  # type: ignore[attr-defined]
    with pytest.raises(kind, match=said):
        hook.call("profile")


def test_a_refresh_token_that_is_used_up_expired_or_unknown_says_how_to_log_in(
    app: Sandbox, hours: Hours
) -> None:
    login = login_of()
    app.set_switches(refresh_seconds=60)
    hours.pass_()
    assert login.renew(0, expired=True)
    hours.pass_()
    with pytest.raises(
        AuthFailed, match=r"expired or revoked .* log in again: python -m airflow_bitrix.login"
    ):
        login.renew(1, expired=True)
    assert not login.renew(1, expired=False)


# -- the login ---------------------------------------------------------------------------------------------


class Person:
    """Opens the page that was named last, and gives the address to which the portal leads.

    :param spare: Whether a second page is opened, too.
    """

    leads_on = False

    def __init__(self, said: list[str], *, spare: bool = False) -> None:
        self.said, self.more = said, 1 + spare

    def come_back(self, then: str) -> str:  # noqa: ARG002 (as every browser has it)
        if not self.more:
            return "\n"
        self.more -= 1
        address = [word for word in " ".join(self.said).split() if "/oauth/authorize/" in word][-1]
        return requests.get(address, timeout=10).url


def test_a_person_logs_in_once_for_all_workers(app: Sandbox, hours: Hours, connection: Any) -> None:
    connect(app, connection, access_token="", refresh_token="", server_endpoint="")
    with pytest.raises(
        AuthFailed, match="nobody has logged in for connection 'bitrix24_default' yet; log in"
    ):
        Bitrix24Hook().call("profile")
    said: list[str] = []
    log_in(CONN_ID, Person(said), said.append)
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    hours.pass_()
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    assert said[-1] == "There are no spare tokens."
    assert said[2] == (
        f"Logged in to {app.base_url}. The tokens are in the Variable {kept_name()}; "
        "all workers take them from there."
    )
    kept = json.loads(read_variable(kept_name()))
    secrets = (kept["access_token"], kept["refresh_token"], app.application()["client_secret"])
    assert not any(secret in " ".join(said) for secret in secrets)


@pytest.mark.usefixtures("app")
def test_a_login_with_a_code_that_is_too_old_says_so(hours: Hours) -> None:
    said: list[str] = []

    class Late(Person):
        def come_back(self, then: str) -> str:
            address = super().come_back(then)
            hours.pass_(0.01)
            return address

    with pytest.raises(AuthFailed, match="the code in the address was used already, or is older than 30"):
        log_in(CONN_ID, Late(said), said.append)


def test_a_webhook_is_not_logged_in(make_sandbox: Any, connection: Any) -> None:
    connection(make_sandbox().webhook_url)
    with pytest.raises(
        Rejected, match=r"extra.client_id: '' is not accepted; accepted: client_id and client_"
    ):
        log_in(CONN_ID, Person([]), str)


def test_the_command_takes_the_browser_back_on_a_port_of_this_machine(
    app: Sandbox, connection: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(app, connection, access_token="", refresh_token="", server_endpoint="")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    port = free_port()
    app.set_switches(handler=f"http://127.0.0.1:{port}/")
    said: list[str] = []

    def opened() -> None:
        while not said:
            said.extend(word for word in capsys.readouterr().out.split() if "/oauth/authorize/" in word)
            time.sleep(0.01)
        assert requests.get(f"http://127.0.0.1:{port}/favicon.ico", timeout=10).status_code == 404
        led = requests.get(said[0], timeout=10)
        assert "Back to the terminal" in led.text
        assert len(led.history) == 3  # once more to the portal, and back

    thread = threading.Thread(target=opened)
    thread.start()
    assert main(["--conn-id", CONN_ID, "--listen", str(port)]) == 0
    thread.join()
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    assert read_kept(read_variable(f"{kept_name()}_spare"))


def test_the_command_says_in_one_line_why_there_is_no_login(
    make_sandbox: Any, connection: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    connection(make_sandbox().webhook_url)
    assert main([]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("Not logged in. extra.client_id: '' is not accepted; accepted: client_id and")
    assert told.err.count("\n") == 1
