"""Tokens are got once for all workers of all hosts, and are not lost."""

from __future__ import annotations

import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.client.flow import Clock as Waits
from airflow_bitrix.client.kept_tokens import Part
from airflow_bitrix.client.oauth_login import OAuthLogin
from airflow_bitrix.client.oauth_server import OAuthServer
from airflow_bitrix.core.errors import AuthFailed, RetryLater
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.hooks.tokens import VariableTokens
from airflow_bitrix.sandbox.server import Sandbox
from tests.hooks.applications import Hours, application, login_of, refreshes


class OfAHost(VariableTokens):
    """The Variable, as a host with a folder of its own writes it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(application())
        self._lock = folder / "claim"


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

    hosts = [OfAHost(tmp_path / str(number)) for number in range(3)]
    logins = [login_of(store, clock=Waits(), winner=15) for store in hosts for _ in range(2)]
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


def test_another_host_waits_for_who_asks_already(app: Sandbox, hours: Hours, tmp_path: Path) -> None:
    """A server that takes a refresh token again would let both of them win, and one of the pairs be lost."""
    app.set_switches(reuse_seconds=60)
    first, second = (login_of(OfAHost(tmp_path / name), clock=Waits(), winner=15) for name in "ab")
    hours.pass_()
    app.set_faults(oauth_slow=1.0)
    thread = threading.Thread(target=first.renew, args=(0,), kwargs={"expired": True})
    thread.start()
    while not refreshes(app):
        time.sleep(0.01)
    assert second.renew(0, expired=True)
    thread.join()
    assert refreshes(app) == {"refresh_token": 1}
    assert first.headers_for(app.base_url) == second.headers_for(app.base_url)


@pytest.mark.parametrize("again", [True, False])
def test_whoever_dies_on_another_host_is_not_waited_for_without_end(
    again: bool,  # noqa: FBT001 (a parameter)
    app: Sandbox,
    tmp_path: Path,
) -> None:
    class EndedError(BaseException):
        pass

    class Ends(OAuthServer):
        def refresh(self, *given: Any) -> Any:
            super().refresh(*given)
            raise EndedError

    app.set_switches(reuse_seconds=60 * again)
    dying, other = login_of(OfAHost(tmp_path), server=Ends), login_of()
    with pytest.raises(EndedError):
        dying.renew(0, expired=True)
    if again:
        assert other.renew(0, expired=False)
        assert Bitrix24Hook().call("profile")["ID"] == "1"
        return
    with pytest.raises(AuthFailed, match=r"they were lost before they were stored \(invalid_grant.*log in"):
        other.renew(0, expired=False)


def test_a_call_between_the_server_s_answer_and_the_store_waits(app: Sandbox) -> None:
    """The older access token is no good any more, and the next one not to be seen yet."""
    first, second = login_of(clock=Waits(), winner=10), Bitrix24Hook()
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

    login = login_of()
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

        def write(self, text: str, part: Part = "pair") -> None:
            if self.refuses and part == "pair":
                self.refuses -= 1
                raise RetryLater("busy")
            super().write(text, part)

    login = login_of(Busy(application()))
    hours.pass_()
    assert login.renew(0, expired=True)
    assert Bitrix24Hook().call("profile")["ID"] == "1"
    assert refreshes(app) == {"refresh_token": 1}


def test_an_oauth_server_that_is_down_loses_nothing(app: Sandbox, hours: Hours) -> None:
    login = login_of()
    hours.pass_()
    app.set_faults(oauth_down=1.0)
    with pytest.raises(RetryLater, match="gives no tokens: no tokens in its answer, HTTP status 503"):
        login.renew(0, expired=True)
    app.clear_faults()
    assert login.renew(0, expired=True)
