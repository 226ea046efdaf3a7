"""Who may talk to a sandbox: its developer, and no page of another site.

A browser lets any page post to an address of this machine, and a name of a stranger's may point to it from
one moment to the next. What it tells about the page that asks decides: the name that was asked for, and where
the page is from. Clients that are no browsers tell the first alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from starlette.responses import JSONResponse

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import ASGIApp, Receive, Scope, Send

_LOOPBACK = ("127.0.0.1", "[::1]", "localhost")
_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:[0-9]{1,5})?")
_PORT = re.compile(r"(?<=[^:]):[0-9]+\Z")
_SILENT_PORTS = {80, 443}
_STRANGE_SITES = {b"cross-site", b"same-site"}
_RECORDS = "/crm/"
_LONGEST = 100


def check_names(names: Iterable[str]) -> tuple[str, ...]:
    """Give the names.

    :raises ValueError: One of them is neither a host nor a host and a port.
    """
    for name in (given := tuple(names)):
        if not _NAME.fullmatch(name):
            raise ValueError(f"names takes names such as sandbox.test or sandbox.test:8900, not {name!r}")
    return given


def known_as(host: str, port: int, names: Iterable[str]) -> tuple[str, ...]:
    """The hosts with their ports that a sandbox answers to.

    :param host: The address that it listens on.
    :param port: Its port, which names without one have, too.
    :param names: What else it is called.
    """
    own = f"[{host}]" if ":" in host else host
    hosts = dict.fromkeys((*_LOOPBACK, own, *names))
    known = tuple((name if _PORT.search(name) else f"{name}:{port}").lower() for name in hosts)
    # Browsers leave the port of their scheme out.
    return known + tuple(name.removesuffix(f":{port}") for name in known if port in _SILENT_PORTS)


class ForItsDeveloper:
    """Lets in who calls a sandbox by a name of its own, from no page or from one of those names.

    Links of other pages, such as reports, lead to the pages of records and to nothing else.

    :param inner: The application.
    :param names: Hosts with their ports, in small letters.
    """

    def __init__(self, inner: ASGIApp, names: Iterable[str]) -> None:
        self._inner, listed = inner, tuple(names)
        self._names, self._told = {name.encode() for name in listed}, ", ".join(listed)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it with 403."""
        if (stranger := self._stranger(scope)) is None:
            await self._inner(scope, receive, send)
            return
        shown = stranger[:_LONGEST].decode("latin-1")
        text = (
            f"This sandbox answers to {self._told} and to no page of another site, not to {shown!r}; "
            "--name lets in more."
        )
        await JSONResponse({"error": text}, 403)(scope, receive, send)

    def _stranger(self, scope: Scope) -> bytes | None:
        """Whoever asks and may not, as the request calls them."""
        told: dict[bytes, bytes] = dict(scope["headers"])
        host, origin = told.get(b"host", b""), told.get(b"origin")
        if host.lower() not in self._names:
            return host
        if origin is not None:
            return None if origin.lower().partition(b"://")[2] in self._names else origin
        site = told.get(b"sec-fetch-site")
        if site in _STRANGE_SITES and not _is_link_to_a_record(scope, told):
            return site
        return None


def _is_link_to_a_record(scope: Scope, told: dict[bytes, bytes]) -> bool:
    is_link = told.get(b"sec-fetch-mode") == b"navigate" and scope["method"] == "GET"
    return is_link and scope["path"].startswith(_RECORDS)
