"""A worker that gets tokens and dies on the way, as a program: ``python -m tests.client.dying_worker``."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import AbstractContextManager
from typing import Any

from airflow_bitrix.client.kept_tokens import Part
from airflow_bitrix.client.oauth import Application, Pair, Refusal
from airflow_bitrix.client.oauth_login import OAuthLogin
from airflow_bitrix.client.oauth_server import OAuthServer
from airflow_bitrix.client.redis_scripts import scripts_of
from airflow_bitrix.client.token_claims import RedisTokens

STEPS = ["before the note", "before the question", "before the pair", "after the pair"]


def store_on(port: int) -> RedisTokens:
    """Give the place where tokens are kept; a claim there ends soon."""
    run = scripts_of(host="127.0.0.1", port=port, user=None, password=None, number=0, tls=())
    return RedisTokens(run, "worker", longest=0.5)


def application_of(told: dict[str, Any]) -> Application:
    """Give the application as a connection has it."""
    pair = Pair(told["access_token"], told["refresh_token"], told["portal"])
    return Application(told["portal"], told["client_id"], told["client_secret"], told["portal"], pair)


class _Dies:
    """A store and an OAuth server, and the end of who uses them."""

    settling = 0.0

    def __init__(self, store: RedisTokens, step: str) -> None:
        self._store, self._step = store, step
        self.place, self.read = store.place, store.read

    def at(self, step: str) -> None:
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)

    def write(self, text: str, part: Part = "pair") -> None:
        self.at(f"before the {part}")
        self._store.write(text, part)
        self.at(f"after the {part}")

    def claim(self) -> AbstractContextManager[object]:
        return self._store.claim()

    def refresh(self, application: Application, refresh_token: str) -> Pair | Refusal:
        self.at("before the question")
        return OAuthServer(application.server).refresh(application, refresh_token)


if __name__ == "__main__":
    given = json.loads(sys.argv[1])
    dying: Any = _Dies(store_on(given["redis"]), given["step"])
    OAuthLogin(application_of(given), dying, lambda _: dying, "crm").renew(0, expired=True)
