"""A connection with tokens works as one with a webhook does, and they are renewed once for everybody."""

from __future__ import annotations

import asyncio
import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from airflow.providers.http.operators.http import HttpOperator

from airflow_bitrix.client.flow import Clock as Waits
from airflow_bitrix.client.oauth import Application, server_address
from airflow_bitrix.client.oauth_login import OAuthLogin
from airflow_bitrix.client.oauth_server import OAuthServer
from airflow_bitrix.compat import read_variable, write_variable
from airflow_bitrix.core.errors import AuthFailed, Rejected, RetryLater
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook
from airflow_bitrix.hooks.tokens import VariableTokens
from airflow_bitrix.login import log_in, main
from airflow_bitrix.operators.contact_links import Bitrix24LeadContactAddOperator
from airflow_bitrix.sandbox.clock import Clock
from airflow_bitrix.sandbox.server import Sandbox
from scripts.processes import free_port

CONN_ID = "bitrix24_default"
NAME = f"bitrix24_oauth_token_{CONN_ID}"


class Hours:
    """A portal's clock that is moved by hand."""

    def __init__(self) -> None:
        self.now = 1_795_000_000.0

    def pass_(self, hours: float = 1.1) -> None:
        self.now += hours * 3600


@pytest.fixture
def hours() -> Hours:
    return Hours()


@pytest.fixture
def app(make_sandbox: Any, connection: Any, hours: Hours, _airflow_database: None) -> Iterator[Sandbox]:
    clock = Clock(time=lambda: hours.now)
    sandbox: Sandbox = make_sandbox(leads=5, contacts=5, plan="self_hosted", clock=clock)
    connect(sandbox, connection)
    write_variable(NAME, "")
    yield sandbox
    write_variable(NAME, "")


def connect(sandbox: Sandbox, connection: Callable[..., str], **extra: Any) -> None:
    fields = {**sandbox.application(), "plan": "self_hosted", **extra}
    connection(None, host=sandbox.base_url, extra={name: one for name, one in fields.items() if one})


def refreshes(sandbox: Sandbox) -> dict[str, int]:
    told: dict[str, int] = sandbox.stats()["oauth"]
    return {name: count for name, count in told.items() if name != "authorization_code"}


def login_of(sandbox: Sandbox, store: Any = None, **how: Any) -> OAuthLogin:
    """Log in as another host does, which shares nothing but the Variable."""
    hook = Bitrix24Hook()
    told = hook.get_connection(CONN_ID).extra_dejson
    application = Application(
        sandbox.base_url,
        told["client_id"],
        told["client_secret"],
        server_address(told["server_endpoint"]),
        hook.settings.login._application.pair,  # type: ignore[attr-defined]
    )
    how = {"clock": Waits(sleep=lambda _: None), "winner": 0.1, **how}
    return OAuthLogin(application, store or VariableTokens(CONN_ID), OAuthServer, CONN_ID, **how)


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
    kept = json.loads(read_variable(NAME))
    assert hook.settings.login.headers_for(app.base_url) != {
        "Authorization": f"Bearer {kept['access_token']}"
    }
    assert Bitrix24Hook().settings.login.headers_for(app.base_url) == {
        "Authorization": f"Bearer {kept['access_token']}"
    }


def test_whoever_sees_a_newer_pair_takes_it(app: Sandbox, hours: Hours) -> None:
    """After a refresh the portal does not know the older access token, which is no reason for another."""
    first, second = Bitrix24Hook(), Bitrix24Hook()
    assert first.call("profile")["ID"] == second.call("profile")["ID"] == "1"
    hours.pass_()
    assert first.call("profile")["ID"] == "1"
    assert second.call("profile")["ID"] == "1"
    assert refreshes(app) == {"refresh_token": 1}


def test_whoever_lost_the_race_takes_the_pair_of_who_won(app: Sandbox, hours: Hours, tmp_path: Path) -> None:
    """Hosts that share no file ask at the same time: the server lets one of them win."""

    class OfAHost(VariableTokens):
        def __init__(self, name: str) -> None:
            super().__init__(CONN_ID)
            self._lock = tmp_path / name / "claim"

    hosts = [OfAHost(str(number)) for number in range(3)]
    logins = [login_of(app, store, clock=Waits(), winner=15) for store in hosts for _ in range(2)]
    hours.pass_()
    failed: list[BaseException] = []

    def renew(login: OAuthLogin) -> None:
        try:
            assert login.renew(0, expired=True)
        except BaseException as error:  # noqa: BLE001 (told below)
            failed.append(error)

    threads = [threading.Thread(target=renew, args=(login,)) for login in logins]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failed
    told = refreshes(app)
    assert told["refresh_token"] == 1
    assert told.get("invalid_grant", 0) <= len(hosts) - 1
    assert len({login.headers_for(app.base_url)["Authorization"] for login in logins}) == 1


def test_a_call_between_the_server_s_answer_and_the_store_waits(app: Sandbox) -> None:
    """The older access token is no good any more, and the next one not to be seen yet."""
    first, second = login_of(app, clock=Waits(), winner=10), Bitrix24Hook()
    assert second.call("profile")["ID"] == "1"
    app.set_faults(oauth_slow=0.4)
    thread = threading.Thread(target=first.renew, args=(0,), kwargs={"expired": True})
    thread.start()
    while not refreshes(app):
        time.sleep(0.01)
    assert second.call("profile")["ID"] == "1"
    thread.join()
    assert refreshes(app) == {"refresh_token": 1}


def test_a_signal_that_ends_a_task_does_not_lose_tokens_that_the_server_has_made(
    app: Sandbox, hours: Hours
) -> None:
    class EndedError(Exception):
        pass

    def end(*_: object) -> None:
        raise EndedError

    login = login_of(app)
    hours.pass_()
    app.set_faults(oauth_slow=0.6)
    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        with pytest.raises(EndedError):
            login.renew(0, expired=True)
    finally:
        signal.signal(signal.SIGALRM, before)
    app.clear_faults()
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    assert refreshes(app) == {"refresh_token": 1}


def test_a_store_that_is_busy_for_a_moment_does_not_lose_tokens(app: Sandbox, hours: Hours) -> None:
    class Busy(VariableTokens):
        refuses = 2

        def write(self, text: str) -> None:
            if self.refuses:
                self.refuses -= 1
                raise RetryLater("busy")
            super().write(text)

    login = login_of(app, Busy(CONN_ID))
    hours.pass_()
    assert login.renew(0, expired=True)
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    assert refreshes(app) == {"refresh_token": 1}


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
    with pytest.raises(RetryLater, match="'bitrix24_default' was changed meanwhile"):
        hook.call("profile")
    assert refreshes(app) == {"refresh_token": 2}


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
    login = login_of(app)
    app.set_switches(refresh_seconds=60)
    hours.pass_()
    assert login.renew(0, expired=True)
    hours.pass_()
    with pytest.raises(
        AuthFailed, match=r"expired or revoked .* log in again: python -m airflow_bitrix.login"
    ):
        login.renew(1, expired=True)
    assert not login.renew(1, expired=False)


def test_an_oauth_server_that_is_down_loses_nothing(app: Sandbox, hours: Hours) -> None:
    login = login_of(app)
    hours.pass_()
    app.set_faults(oauth_down=1.0)
    with pytest.raises(RetryLater, match="gives no tokens: no tokens in its answer, HTTP status 503"):
        login.renew(0, expired=True)
    app.clear_faults()
    assert login.renew(0, expired=True)


# -- the login ---------------------------------------------------------------------------------------------


def browser(said: list[str]) -> str:
    """Open the page that was named, and give the address to which the portal leads."""
    [address] = [word for word in " ".join(said).split() if "/oauth/authorize/" in word]
    return requests.get(address, timeout=10).url


def test_a_person_logs_in_once_for_all_workers(app: Sandbox, hours: Hours, connection: Any) -> None:
    connect(app, connection, access_token="", refresh_token="", server_endpoint="")
    with pytest.raises(
        AuthFailed, match="nobody has logged in for connection 'bitrix24_default' yet; log in"
    ):
        Bitrix24Hook().call("profile")
    said: list[str] = []
    log_in(CONN_ID, lambda: browser(said), said.append)
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    hours.pass_()
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    assert said[-1] == (
        f"Logged in to {app.base_url}. The tokens are in the Variable {NAME}; "
        "all workers take them from there."
    )
    kept = json.loads(read_variable(NAME))
    secrets = (kept["access_token"], kept["refresh_token"], app.application()["client_secret"])
    assert not any(secret in " ".join(said) for secret in secrets)


@pytest.mark.usefixtures("app")
def test_a_login_with_a_code_that_is_too_old_says_so(hours: Hours) -> None:
    said: list[str] = []

    def late() -> str:
        address = browser(said)
        hours.pass_(0.01)
        return address

    with pytest.raises(AuthFailed, match="the code in the address was used already, or is older than 30"):
        log_in(CONN_ID, late, said.append)


def test_a_webhook_is_not_logged_in(make_sandbox: Any, connection: Any) -> None:
    connection(make_sandbox().webhook_url)
    with pytest.raises(
        Rejected, match=r"extra.client_id: '' is not accepted; accepted: client_id and client_"
    ):
        log_in(CONN_ID, str, str)


def test_the_command_takes_the_browser_back_on_a_port_of_this_machine(
    app: Sandbox, connection: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    connect(app, connection, access_token="", refresh_token="", server_endpoint="")
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    port = free_port()
    said: list[str] = []

    def opened() -> None:
        while not said:
            said.extend(word for word in capsys.readouterr().out.split() if "/oauth/authorize/" in word)
            time.sleep(0.01)
        assert requests.get(f"http://127.0.0.1:{port}/favicon.ico", timeout=10).status_code == 404
        back = {"redirect_uri": f"http://127.0.0.1:{port}/"}
        assert "Back to the terminal" in requests.get(said[0], params=back, timeout=10).text

    thread = threading.Thread(target=opened)
    thread.start()
    assert main(["--conn-id", CONN_ID, "--listen", str(port)]) == 0
    thread.join()
    assert Bitrix24Hook().call("profile")["ID"] == "1"


def test_the_command_says_in_one_line_why_there_is_no_login(
    make_sandbox: Any, connection: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("_AIRFLOW_PROCESS_CONTEXT", "server")
    connection(make_sandbox().webhook_url)
    assert main([]) == 1
    told = capsys.readouterr()
    assert told.err.startswith("Not logged in. extra.client_id: '' is not accepted; accepted: client_id and")
    assert told.err.count("\n") == 1
