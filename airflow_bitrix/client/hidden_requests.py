"""Requests of ``aiohttp`` whose secret is seen by the socket alone.

For ``requests`` see :mod:`airflow_bitrix.client.deadlines`.
"""

from __future__ import annotations

from typing import Any, cast

import aiohttp
from yarl import URL

from airflow_bitrix.client.auth import Webhook
from airflow_bitrix.client.known_secrets import keep_secrets


def hidden_requests(webhook: Webhook) -> type[aiohttp.ClientRequest]:
    """Give the ``request_class`` of a session that posts to ``https://portal/method``.

    The secret path enters where a request's first line is written. So the session, answers, exceptions,
    warnings and lines of a log have the portal's plain address.
    """
    keep_secrets(webhook)

    class Hidden(aiohttp.ClientRequest):
        async def send(self, conn: Any) -> aiohttp.ClientResponse:
            plain = self.url
            self.url = cast("URL", _Target(plain, webhook))
            try:
                return await super().send(conn)
            finally:
                self.url = plain

    return Hidden


class _Target:
    """An address that is written with the secret; shown, and asked for anything else, it is the plain one."""

    def __init__(self, plain: URL, webhook: Webhook) -> None:
        self._plain, self._webhook = plain, webhook

    @property
    def raw_path_qs(self) -> str:
        return URL(self._webhook.with_secret(str(self._plain)), encoded=True).raw_path_qs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def __str__(self) -> str:
        return str(self._plain)

    def __repr__(self) -> str:
        return repr(self._plain)
