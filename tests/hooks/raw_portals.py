"""Servers that answer with bytes of the test's choosing, and what each way to call makes of them."""

from __future__ import annotations

import asyncio
import re
import socket
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from airflow.providers.http.operators.http import HttpOperator

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook

CODE = "abcdef123456"
ONCE = Retries(times=0)


def call(method: str, params: dict[str, Any]) -> Any:
    hook = Bitrix24Hook()
    hook.retries = ONCE
    return hook.call(method, params)


def call_async(method: str, params: dict[str, Any]) -> Any:
    hook = Bitrix24AsyncHook()
    hook.retries = ONCE
    return asyncio.run(hook.call(method, params))


def stock_operator(method: str, params: dict[str, Any]) -> Any:
    return HttpOperator(
        task_id="stock", http_conn_id="bitrix24_default", endpoint=method, data=params
    ).execute({})


BOTH_HOOKS = pytest.mark.parametrize("way", [call, call_async], ids=lambda way: way.__name__)
EACH_WAY = pytest.mark.parametrize("way", [call, call_async, stock_operator], ids=lambda way: way.__name__)
Way = Callable[[str, dict[str, Any]], Any]


def http(body: bytes = b'{"result": 1}', *headers: bytes, status: bytes = b"200 OK") -> bytes:
    """Give an answer with some headers more."""
    lines = (b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers)
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


@contextmanager
def answering(answer: bytes | Callable[[], Iterable[bytes]]) -> Iterator[tuple[int, list[bytes]]]:
    """Give the port of a server that answers every request so, then closes; and the requests that came."""
    asked: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    one, _ = server.accept()
                    with suppress(OSError), one:
                        asked.append(_request(one))
                        for piece in [answer] if isinstance(answer, bytes) else answer():
                            one.sendall(piece)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield server.getsockname()[1], asked
        finally:
            server.shutdown(socket.SHUT_RDWR)
            thread.join()


def _request(one: socket.socket) -> bytes:
    got = b""
    while b"\r\n\r\n" not in got:
        piece = one.recv(2**16)
        if not piece:
            return got
        got += piece
    size = re.search(rb"content-length: (\d+)", got, re.IGNORECASE)
    while size and len(got.split(b"\r\n\r\n", 1)[1]) < int(size[1]):
        got += one.recv(2**16)
    return got


def webhook_at(port: int, scheme: str = "http") -> str:
    return f"{scheme}://127.0.0.1:{port}/rest/1/{CODE}/"
