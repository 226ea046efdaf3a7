"""Answers that come to no end, or to one that no client would wait for."""

from __future__ import annotations

import asyncio
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive, Scope, Send

    from airflow_bitrix.sandbox.portal import Portal

_CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_BLANKS = b"400\r\n" + b" " * 0x400 + b"\r\n"
_NO_SIZE = b"no size\r\n{}\r\n"
_PACE = 0.01
"""Seconds between two pieces, where no fault names others."""


class _Unending(Response):
    """Pieces of an answer, one after another, and then nothing until the client or the sandbox goes away.

    :param pieces: What is written, from the status line on.
    :param pace: Seconds from one piece to the next.
    :param stopping: Tells that the sandbox goes away.
    """

    def __init__(self, pieces: Iterable[bytes], pace: float, stopping: asyncio.Event) -> None:
        super().__init__()
        self._pieces, self._pace, self._stopping = pieces, pace, stopping

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002
        """Write to the transport under the server, which would else see to it that an answer ends."""
        cycle: Any = getattr(receive, "__self__", None)
        ends = [asyncio.ensure_future(receive()), asyncio.ensure_future(self._stopping.wait())]
        for piece in self._pieces:
            cycle.transport.write(piece)
            done, _ = await asyncio.wait(ends, timeout=self._pace, return_when=asyncio.FIRST_COMPLETED)
            if done:
                break
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        cycle.transport.abort()
        ends[1].cancel()
        await ends[0]


def unending(portal: Portal, answer: Response, path: str, stopping: asyncio.Event) -> Response | None:
    """Give what comes in place of an answer where a fault keeps that from its end, or makes a liar of it.

    :param path: What was asked for; it holds the webhook's code.
    """
    if portal.strikes("telltale"):
        known = f"Content-Length: {len(answer.body)}\r\nConnection: close\r\n"
        head = f"HTTP/1.1 {answer.status_code} \r\n{known}no header {path}\r\n\r\n"
        return _Unending((head.encode() + bytes(answer.body),), _PACE, stopping)
    if portal.strikes("silent"):
        return _Unending((), _PACE, stopping)
    if portal.strikes("drip"):
        status = f"HTTP/1.1 {answer.status_code} \r\n".encode()
        headers = b"".join(b"%b: %b\r\n" % header for header in answer.raw_headers)
        whole = status + headers + b"\r\n" + answer.body
        pieces = (whole[place : place + 1] for place in range(len(whole)))
        return _Unending(pieces, portal.faults.drip_seconds, stopping)
    if portal.strikes("endless"):
        return _Unending(chain((_CHUNKED,), repeat(_BLANKS)), _PACE, stopping)
    if portal.strikes("bad_chunk"):
        return _Unending((_CHUNKED, _NO_SIZE), _PACE, stopping)
    return None
