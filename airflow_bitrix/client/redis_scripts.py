"""What runs scripts in Redis, by the client that comes with the extra ``redis``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from airflow_bitrix.client.redis_allowance import Scripts
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext

SECONDS = 2.0
"""How long Redis is waited for: a task that waits longer had better go on with what its host knows."""


@lru_cache(maxsize=8)
def scripts_of(
    *,
    host: str,
    port: int,
    user: str | None,
    password: str | None,
    number: int,
    tls: tuple[tuple[str, Any], ...],
) -> Scripts:
    """Give what runs scripts in a Redis; its connections are kept for all who ask for the same.

    :param number: The number of the database.
    :param tls: Further arguments of the client, as pairs.
    :raises InvalidInput: The client is not installed.
    """
    try:
        from redis import Redis, RedisError  # noqa: PLC0415 (it comes with an extra)
        from redis.backoff import NoBackoff  # noqa: PLC0415
        from redis.retry import Retry  # noqa: PLC0415
    except ImportError:
        accepted = gettext(
            "file, where the Redis client is not installed; pip install 'airflow-bitrix[redis]' brings it"
        )
        raise InvalidInput("[bitrix24] allowance", "redis", accepted) from None
    client = Redis(
        host=host,
        port=port,
        username=user,
        password=password,
        db=number,
        socket_timeout=SECONDS,
        socket_connect_timeout=SECONDS,
        retry=Retry(NoBackoff(), 1),  # a connection that was idle may have been closed
        decode_responses=True,
        **dict(tls),
    )

    def run(script: str, keys: Sequence[str], arguments: Sequence[str | float]) -> Any:
        try:
            return client.eval(script, len(keys), *keys, *arguments)
        except RedisError as error:
            # Its own words may hold what the connection holds.
            raise ConnectionError(f"{host}:{port}: {type(error).__name__}") from None

    return run
