"""Whoever is killed while getting tokens takes none along, as far as the OAuth server gives them again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.client.flow import Clock
from airflow_bitrix.client.kept_tokens import Part, made_at, read_kept, text_of
from airflow_bitrix.client.oauth import Pair
from airflow_bitrix.client.oauth_login import OAuthLogin
from airflow_bitrix.client.oauth_server import OAuthServer
from airflow_bitrix.core.errors import AuthFailed
from airflow_bitrix.sandbox.server import Sandbox
from scripts.processes import free_port
from tests.client.dying_worker import STEPS, application_of, store_on
from tests.client.test_redis_allowance import redis_server

pytestmark = pytest.mark.slow

PARTS: tuple[Part, ...] = ("pair", "note", "spare")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    with redis_server(port, tmp_path_factory.mktemp("redis")):
        yield port


@pytest.fixture
def app(make_sandbox: Any) -> Sandbox:
    sandbox: Sandbox = make_sandbox(plan="self_hosted")
    return sandbox


def workers(app: Sandbox, redis: int, number: int) -> tuple[dict[str, Any], list[OAuthLogin]]:
    """Give what a connection holds, and workers that began when all was well."""
    told = {**app.application(), "portal": app.base_url, "redis": redis}
    store = store_on(redis)
    for part in PARTS:
        store.write("", part)
    return told, [worker(told) for _ in range(number)]


def worker(told: dict[str, Any], server: Any = OAuthServer) -> OAuthLogin:
    clock = Clock(sleep=lambda _: None)
    return OAuthLogin(application_of(told), store_on(told["redis"]), server, "crm", clock=clock, winner=0.1)


def kill(told: dict[str, Any], step: str) -> None:
    """Kill a worker at a step of getting tokens."""
    command = [sys.executable, "-m", "tests.client.dying_worker", json.dumps({**told, "step": step})]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL, done.stderr


def check(app: Sandbox, login: OAuthLogin) -> None:
    """Ask the portal whether it knows the access token."""
    token = login.headers_for(app.base_url)["Authorization"].removeprefix("Bearer ")
    app.portal.oauth.check(token, app.portal.switches)


@pytest.mark.parametrize("step", STEPS)
def test_nothing_is_lost_where_the_server_takes_a_refresh_token_again(
    step: str, app: Sandbox, redis: int
) -> None:
    """The portal says of the older access token that it is unknown, or that it has expired."""
    app.set_switches(reuse_seconds=60)
    told, (first, second) = workers(app, redis, 2)
    kill(told, step)
    # Nobody asks because of an unknown token alone, unless somebody was about to ask.
    assert bool(first.renew(0, expired=False)) is (step != "before the note")
    assert second.renew(0, expired=True)
    check(app, second)
    if step != "before the note":
        check(app, first)
    assert app.stats()["oauth"]["refresh_token"] == (2 if step == "before the pair" else 1)


def test_a_login_is_asked_for_where_it_does_not(app: Sandbox, redis: int) -> None:
    told, (first, second) = workers(app, redis, 2)
    kill(told, "before the pair")
    said = (
        r"^\S+ asked for new tokens at \S+ \S+ UTC, and they were lost before they were stored "
        r"\(invalid_grant: .*\); log in again: python -m airflow_bitrix.login --conn-id crm$"
    )
    for login, expired in ((first, False), (first, True), (second, False)):
        with pytest.raises(AuthFailed, match=said):
            login.renew(0, expired=expired)


def test_spare_tokens_are_used_once_where_others_were_lost(app: Sandbox, redis: int) -> None:
    told, (first, second, third) = workers(app, redis, 3)
    spare = app.application()
    pair = Pair(spare["access_token"], spare["refresh_token"], app.base_url)
    store_on(redis).write(text_of(pair, time.time(), "somebody"), "spare")
    kill(told, "before the pair")
    assert first.renew(0, expired=False)
    check(app, first)
    assert second.renew(0, expired=True)
    assert second.headers_for(app.base_url) == first.headers_for(app.base_url)
    assert store_on(redis).read("spare") == ""
    assert third.renew(0, expired=True)
    kill({**told, **keys_of(redis)}, "before the pair")
    with pytest.raises(AuthFailed, match="log in again"):
        third.renew(1, expired=True)


def keys_of(redis: int) -> dict[str, str]:
    pair = read_kept(store_on(redis).read())
    assert pair
    return {"access_token": pair.access, "refresh_token": pair.refresh}


def test_spare_tokens_are_kept_from_expiring(app: Sandbox, redis: int) -> None:
    _, (first,) = workers(app, redis, 1)
    spare = app.application()
    pair = Pair(spare["access_token"], spare["refresh_token"], app.base_url)
    text = text_of(pair, time.time() - 61 * 86_400, "somebody")
    store_on(redis).write(text, "spare")
    assert first.renew(0, expired=True)
    newer = store_on(redis).read("spare")
    assert read_kept(newer) not in (None, pair)
    assert read_kept(newer) != read_kept(store_on(redis).read())
    assert made_at(newer) > time.time() - 60
    assert app.stats()["oauth"]["refresh_token"] == 2


@pytest.mark.parametrize("reuse", [60, 0])
def test_whoever_slept_while_asking_does_not_store_tokens_over_newer_ones(
    reuse: int, app: Sandbox, redis: int
) -> None:
    """A claim ends by itself: the one who comes next asks with the same refresh token."""
    app.set_switches(reuse_seconds=reuse)
    told, (second,) = workers(app, redis, 1)

    class Sleeps(OAuthServer):
        def refresh(self, *given: Any) -> Any:
            found = super().refresh(*given)
            with nullcontext() if reuse else pytest.raises(AuthFailed):
                second.renew(0, expired=True)
            return found

    first = worker(told, Sleeps)
    assert first.renew(0, expired=True)
    check(app, first)
    assert worker(told).headers_for(app.base_url) == first.headers_for(app.base_url)
