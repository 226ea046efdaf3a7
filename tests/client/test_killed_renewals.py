"""Whoever is killed while getting tokens takes none along, as far as the OAuth server gives them again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from airflow_bitrix.client.flow import Clock
from airflow_bitrix.client.kept_tokens import Part
from airflow_bitrix.client.oauth_login import OAuthLogin
from airflow_bitrix.client.oauth_server import OAuthServer
from airflow_bitrix.core.errors import AuthFailed
from airflow_bitrix.sandbox.server import Sandbox
from scripts.processes import free_port
from tests.client.dying_worker import STEPS, application_of, store_on
from tests.client.test_redis_allowance import redis_server

PARTS: tuple[Part, ...] = ("pair", "note")


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    port = free_port()
    with redis_server(port, tmp_path_factory.mktemp("redis")):
        yield port


@pytest.fixture
def app(make_sandbox: Any) -> Sandbox:
    sandbox: Sandbox = make_sandbox(plan="self_hosted")
    return sandbox


def killed(app: Sandbox, redis: int, step: str) -> list[OAuthLogin]:
    """Kill a worker at a step of getting tokens, and give two that began when all was well."""
    told = {**app.application(), "portal": app.base_url, "redis": redis, "step": step}
    store, clock = store_on(redis), Clock(sleep=lambda _: None)
    for part in PARTS:
        store.write("", part)
    others = [
        OAuthLogin(application_of(told), store, OAuthServer, "crm", clock=clock, winner=0.1) for _ in "ab"
    ]
    command = [sys.executable, "-m", "tests.client.dying_worker", json.dumps(told)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == -signal.SIGKILL, done.stderr
    return others


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
    first, second = killed(app, redis, step)
    # Nobody asks because of an unknown token alone, unless somebody was about to ask.
    assert first.renew(0, expired=False) is (step != "before the note")
    assert second.renew(0, expired=True)
    check(app, second)
    if step != "before the note":
        check(app, first)
    assert app.stats()["oauth"]["refresh_token"] == (2 if step == "before the pair" else 1)


def test_a_login_is_asked_for_where_it_does_not(app: Sandbox, redis: int) -> None:
    first, second = killed(app, redis, "before the pair")
    said = (
        r"^\S+ asked for new tokens at \S+ \S+ UTC, and they were lost before they were stored "
        r"\(invalid_grant: .*\); log in again: python -m airflow_bitrix.login --conn-id crm$"
    )
    for login, expired in ((first, False), (first, True), (second, False)):
        with pytest.raises(AuthFailed, match=said):
            login.renew(0, expired=expired)
