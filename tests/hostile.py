"""Answers of those who mean harm, or cannot speak HTTP: each repeats the address and the token that came."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress

BODY = b'{"result":{"ID":"1"}}'
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 21\r\n"
_BAD = b"HTTP/1.1 400 Bad\r\nConnection: close\r\n"

ANSWERS: Mapping[str, bytes] = {
    "no header": _OK + b"no header %path\r\n\r\n" + BODY,
    "header without a name": _OK + b": %path\r\n\r\n" + BODY,
    "header with a blank": _OK + b"a name %path: x\r\n\r\n" + BODY,
    "header with a zero": _OK + b"X: \0%path\r\n\r\n" + BODY,
    "header that is folded": _OK + b"\t%path: x\r\n\r\n" + BODY,
    "status line": b"%path\r\n\r\n" + BODY,
    "status that is no number": b"HTTP/1.1 %path OK\r\n\r\n" + BODY,
    "version": b"HTTP/%path 200 OK\r\n\r\n" + BODY,
    "reason": b"HTTP/1.1 502 %path\r\nContent-Length: 0\r\n\r\n",
    "length": b"HTTP/1.1 200 OK\r\nContent-Length: %path\r\n\r\n" + BODY,
    "encoding": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip, %path\r\nContent-Length: 5\r\n\r\n%path",
    "transfer encoding": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: %path\r\n\r\n" + BODY,
    "chunk": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%path\r\n" + BODY,
    "cookie": _OK + b"Set-Cookie: a=%path; expires=%path; domain=%path\r\n\r\n" + BODY,
    "content type": _OK + b"Content-Type: application/json; charset=%path\r\n\r\n" + BODY,
    "redirect": b"HTTP/1.1 302 Found\r\nLocation: http://%path\r\nContent-Length: 0\r\n\r\n",
    "page": _BAD + b"\r\n<html><title>%path</title></html>",
    "bars": _BAD + b'\r\n{"error":"X","error_description":"rest|1|%code|profile"}',
    "escapes": _BAD + b'\r\n{"error":"X","error_description":"%escaped"}',
    "cut off": b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n%path",
    "nothing": b"",
}


@contextmanager
def hostile(answer: bytes) -> Iterator[int]:
    """Answer so whatever comes, on a port of the loopback, and give that.

    :param answer: What is written: ``%path`` is the path that was asked for, with a token behind it that came
        in a header; ``%code`` the webhook's code in it, ``%escaped`` the path as JSON may have it.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_serve, args=(listening, answer), daemon=True)
        thread.start()
        try:
            yield listening.getsockname()[1]
        finally:
            listening.shutdown(socket.SHUT_RDWR)
            thread.join()


def _serve(listening: socket.socket, answer: bytes) -> None:
    with suppress(OSError):  # until it is closed
        while True:
            sock, _ = listening.accept()
            sock.settimeout(10)
            with suppress(OSError, LookupError), sock, sock.makefile("rb") as asked:
                head = list(iter(lambda: asked.readline().strip(), b""))
                asked.read(
                    sum(int(line[15:]) for line in head if line.lower().startswith(b"content-length:"))
                )
                tokens = [line.split()[-1] for line in head if line.lower().startswith(b"authorization:")]
                path = b"/".join([head[0].split()[1], *tokens])
                parts = path.split(b"/")
                told = {
                    b"%path": path,
                    b"%code": parts[3] if len(parts) > 3 else b"",
                    b"%escaped": path.replace(b"/", b"\\u002f"),
                }
                said = answer
                for sign, value in told.items():
                    said = said.replace(sign, value)
                sock.sendall(said)
