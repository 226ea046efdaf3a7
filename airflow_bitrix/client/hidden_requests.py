"""Requests of ``aiohttp`` whose secret is seen by the socket alone.

For ``requests`` see :mod:`airflow_bitrix.client.deadlines`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any, cast

import aiohttp
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from airflow_bitrix.client.known_secrets import keep_secrets
from airflow_bitrix.client.logins import Login


def hidden_requests(login: Login) -> type[aiohttp.ClientRequest]:
    """Give the ``request_class`` of a session that posts to ``https://portal/method``.

    The secret, a path or a header, enters where a request's first lines are written. So the session, answers,
    exceptions, warnings and lines of a log have the portal's plain address, and no token.
    """
    keep_secrets(login)

    class Hidden(aiohttp.ClientRequest):
        async def send(self, conn: Any) -> aiohttp.ClientResponse:
            url, headers = self.url, self.headers
            self.url = cast("URL", _Target(url, login))
            self.headers = cast("CIMultiDict[str]", _Headers(headers, login.headers_for(str(url))))
            try:
                return await super().send(conn)
            finally:
                self.url, self.headers = url, headers

        @property
        def request_info(self) -> aiohttp.RequestInfo:
            """What answers and exceptions tell of the request."""
            plain = self.headers.plain if isinstance(self.headers, _Headers) else self.headers
            return aiohttp.RequestInfo(self.url, self.method, CIMultiDictProxy(plain), self.original_url)

    return Hidden


class _Headers(MutableMapping[str, str]):
    """Headers that are written with those that hold a secret; looked at, they are the plain ones."""

    def __init__(self, plain: CIMultiDict[str], secret: Mapping[str, str]) -> None:
        self.plain, self._secret = plain, secret

    def items(self) -> Any:
        """Give what is written."""
        return [*self.plain.items(), *self._secret.items()]

    def __getitem__(self, name: str) -> str:
        return self.plain[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.plain[name] = value

    def __delitem__(self, name: str) -> None:
        del self.plain[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.plain)

    def __len__(self) -> int:
        return len(self.plain)

    def __repr__(self) -> str:
        return repr(self.plain)


class _Target:
    """An address that is written with the secret; shown, and asked for anything else, it is the plain one."""

    def __init__(self, plain: URL, login: Login) -> None:
        self._plain, self._login = plain, login

    @property
    def raw_path_qs(self) -> str:
        return URL(self._login.with_secret(str(self._plain)), encoded=True).raw_path_qs

    def __getattr__(self, name: str) -> Any:
        return getattr(self._plain, name)

    def __str__(self) -> str:
        return str(self._plain)

    def __repr__(self) -> str:
        return repr(self._plain)
