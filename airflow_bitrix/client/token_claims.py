"""Claims: who of many processes asks an OAuth server. They save questions; the server decides a race."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from airflow_bitrix.client.allowance import own_slot
from airflow_bitrix.client.kept_tokens import Part
from airflow_bitrix.client.oauth_server import SECONDS
from airflow_bitrix.client.redis_allowance import Scripts
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.languages import gettext

log = logging.getLogger(__name__)

LONGEST = SECONDS + 5
"""Seconds after which a claim in Redis ends by itself: no question takes as long."""

_PAUSE = 0.1


@contextmanager
def file_claim(path: Path, longest: float = LONGEST) -> Iterator[None]:
    """Be the only process of this host, as long as this block lasts; the kernel ends what a killed one held.

    :param longest: Seconds that another one is waited for.
    """
    ends = time.monotonic() + longest
    with ExitStack() as stack:
        try:
            slot = stack.enter_context(own_slot(path))
            while not slot.lock() and time.monotonic() < ends:
                time.sleep(_PAUSE)
        except OSError as error:
            log.debug("No claim by %s: %s", path, error)
        yield


_READ = "return redis.call('GET', KEYS[1]) or ''"
_WRITE = "redis.call('SET', KEYS[1], ARGV[1]) return 1"
_CLAIM = "return redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', ARGV[2]) and 1 or 0"
_FREE = "if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end return 1"


class RedisTokens:
    """The tokens of a connection in Redis, for all hosts that reach it.

    :param run: Runs a script in Redis.
    :param name: A name for the connection.
    :param longest: Seconds after which a claim ends by itself.
    """

    def __init__(self, run: Scripts, name: str, *, longest: float = LONGEST) -> None:
        self._run, self._longest = run, longest
        self._start = f"airflow-bitrix:{{oauth-{name}}}"
        self._claim = f"{self._start}:claim"

    @property
    def place(self) -> str:
        """The same for all hosts: a claim reaches them."""
        return "Redis"

    @property
    def settling(self) -> float:
        """Nothing: there are no others."""
        return 0.0

    def read(self, part: Part = "pair") -> str:
        """Give what was written last, empty for nothing.

        :raises RetryLater: Redis is away.
        """
        return str(self._ask(_READ, f"{self._start}:{part}", ()))

    def write(self, text: str, part: Part = "pair") -> None:
        """Keep a text, without an end.

        :raises RetryLater: Redis is away.
        """
        self._ask(_WRITE, f"{self._start}:{part}", (text,))

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Be the only process of all hosts, as long as this block lasts, and for 20 seconds at most."""
        own = secrets.token_hex(8)
        ends = time.monotonic() + 2 * self._longest
        while not self._ask(_CLAIM, self._claim, (own, round(self._longest * 1000))):
            if time.monotonic() > ends:
                break
            time.sleep(_PAUSE)
        try:
            yield
        finally:
            with suppress(RetryLater):
                self._ask(_FREE, self._claim, (own,))

    def _ask(self, script: str, key: str, arguments: Sequence[str | float]) -> object:
        try:
            return self._run(script, [key], arguments)
        except OSError as error:
            raise RetryLater(
                gettext("Redis, which keeps the tokens, does not answer: {error}", error=error)
            ) from None
