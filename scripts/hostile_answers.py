"""Answers that no portal gives, and what stands before it might: drawn, as they go over the wire.

Many of them hold the webhook's code, as error pages of proxies do, in this spelling or that.
"""
# ruff: noqa: E501, PLR2004 - tables of odd things, and the odds of each, read best in few lines

from __future__ import annotations

import gzip
import json
import zlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random

Headers = list[tuple[bytes, bytes]]

_SPELLINGS = (
    "/rest/1/{}/profile", "https://acme.bitrix24.com/rest/1/{}/", "rest|12|{}|profile", "rest/1/{}", "{}", "code={}&x=1",
    "\\/rest\\/1\\/{}\\/profile", "\\u002frest\\u002f1\\u002f{}\\u002fx", "&#47;rest&#47;1&#47;{}&#47;x",
    "&#x2F;rest&#x2F;1&#x2F;{}", "%2Frest%2F1%2F{}%2Fx", "%252Frest%252F1%252F{}%252Fx", "//rest//1//{}//",
    "\\rest\\1\\{}\\x", "/REST/1/{}/PROFILE", "\x1b[31m/rest/1/{}\x1b[0m", "/rest/1/\n{}\n", "::group::{}", "<title>{}</title>",
)  # fmt: skip
_STATUSES = (
    *(b"200",) * 12, b"201", b"204", b"206", b"301", b"302", b"304", b"307", b"400", b"401", b"403", b"404", b"407",
    b"413", b"429", b"500", b"502", b"503", b"504", b"100", b"101", b"102", b"199", b"599", b"600", b"999", b"0", b"099",
    b"1000", b"-1", b"2e2", b"", b"abc", b"2\xb2",
)  # fmt: skip
_VERSIONS = (
    *(b"HTTP/1.1",) * 14,
    b"HTTP/1.0",
    b"HTTP/2",
    b"HTTP/9.9",
    b"http/1.1",
    b"ICY",
    b"",
    b"HTTP/1.1\t",
)
_NUMBERS = (
    "0", "-1", "1e999", "-1e999", "1" + "0" * 400, "1" + "0" * 5000, "NaN", "Infinity", "1.5", '"7"', "true", "null",
    "1e308", "-0.0", "5e-324", '"\\ud800"', "[]", "{}", "99999999999999999999", "1784000000",
)  # fmt: skip
_TIMES = ("operating", "operating_reset_at", "start", "finish", "duration", "processing", "date_start")
_CODES = (
    "QUERY_LIMIT_EXCEEDED", "OPERATION_TIME_LIMIT", "INVALID_CREDENTIALS", "NO_AUTH_FOUND", "expired_token",
    "INTERNAL_SERVER_ERROR", "ERROR_METHOD_NOT_FOUND", "ACCESS_DENIED", "insufficient_scope", "OVERLOAD_LIMIT", "",
)  # fmt: skip
_BODIES = ("result", "result", "batch", "batch", "error", "error", "page", "text", "bytes", "deep", "empty")


def spelled(rng: random.Random, code: str) -> str:
    """Give the code in one of the ways in which it is met."""
    told = rng.choice((code, code, code, code.upper(), code.lower()))
    return rng.choice(_SPELLINGS).format(told)


def answer(rng: random.Random, code: str) -> bytes:
    """Give an answer, from its status line on; the connection is closed behind it."""
    body, headers = _body(rng, code), [(b"Content-Type", _content_type(rng, code))]
    body = _packed(rng, body, headers)
    body = _framed(rng, body, headers)
    for _ in range(rng.choice((0, 0, 1, 1, 2, 4))):
        headers.insert(rng.randrange(len(headers) + 1), _odd_header(rng, code))
    if rng.random() < 0.02:
        headers += [(b"X-%d" % number, b"x") for number in range(300)]
    lines = [_status_line(rng, code), *(b": ".join(header) for header in headers)]
    if rng.random() < 0.06:
        lines.insert(rng.randrange(len(lines) + 1), _no_header(rng, code))
    ending = rng.choice((b"\r\n",) * 9 + (b"\n",))
    whole = ending.join(lines) + ending * 2 + body
    if rng.random() < 0.05:
        whole = b"HTTP/1.1 100 Continue\r\n\r\n" * rng.choice((1, 3, 50)) + whole
    if rng.random() < 0.07:
        whole = whole[: rng.randrange(len(whole) + 1)]
    return whole


def _status_line(rng: random.Random, code: str) -> bytes:
    reason = rng.choice((b"OK", b"OK", b"", spelled(rng, code).encode(), b"\xff\x00", b"x" * 9000))
    odd = (spelled(rng, code).encode(), b"\x16\x03\x01\x02\x00", b"HTTP/1.1", b"<html>", b"x" * 70_000, b"{}")
    if rng.random() < 0.04:
        return rng.choice(odd)
    return b" ".join((rng.choice(_VERSIONS), rng.choice(_STATUSES), reason)).replace(b"\n", b"")


def _content_type(rng: random.Random, code: str) -> bytes:
    return rng.choice(
        (
            *(b"application/json; charset=utf-8",) * 5, b"text/html", b"", b"application/json; charset=no-such",
            b"application/json; charset=utf-16", b"text/html; charset=\xff", b"multipart/form-data; boundary",
            b"application/json; charset=" + code.encode(), b"application/json; charset=idna", b";;;=", b"x" * 9000,
        )
    )  # fmt: skip


def _odd_header(rng: random.Random, code: str) -> tuple[bytes, bytes]:
    told = spelled(rng, code)
    value = told.replace("\n", "").encode()
    return rng.choice(
        (
            (b"Location", value), (b"Location", b"http://[::1/" + value), (b"Location", b"\xff\xfe"), (b"Location", b"//" + value),
            (b"Location", b"http://a:99999999/"), (b"Location", b"http://\x00" + value), (b"Location", told.encode()),
            (b"Set-Cookie", b"code=" + value), (b"Set-Cookie", b"\xff=;;; expires=x; domain=[" + value), (b"Set-Cookie", b"=" * 300),
            (b"Retry-After", rng.choice(_NUMBERS).encode()), (b"Retry-After", value), (b"WWW-Authenticate", b'Basic realm="' + value),
            (b"X-Told", value), (b"X-Told", told.encode()), (value, b"x"), (b"", b"x"), (b"X Y", b"z"), (b"X\x00", b"\x00"),
            (b" folded", value), (b"Connection", b"upgrade"), (b"Upgrade", b"h2c"), (b"Connection", value), (b"Trailer", b"X"),
            (b"Content-Length", b"7"), (b"Content-Encoding", b"br"), (b"Transfer-Encoding", b"gzip"), (b"Link", b"<" + value),
            (b"Strict-Transport-Security", b"max-age=x"), (b"Alt-Svc", value), (b"Server", b"x" * 70_000), (b"Date", b"never"),
        )
    )  # fmt: skip


def _no_header(rng: random.Random, code: str) -> bytes:
    told = spelled(rng, code).encode()
    return rng.choice(
        (told, b"no colon", b"", b"\x00", b": " + told, b"HTTP/1.1 200 OK", b"\xff" * 9, b"\t" + told)
    )


def _packed(rng: random.Random, body: bytes, headers: Headers) -> bytes:
    """Pack a body, and say so, truly or not."""
    name = rng.choice(
        (b"",) * 8
        + (b"gzip", b"gzip", b"deflate", b"br", b"zstd", b"identity", b"gzip, gzip", b"x" * 99, b"\xff")
    )
    if not name:
        return body
    headers.append((b"Content-Encoding", name))
    way = rng.randrange(6)
    if way == 0:
        return body
    packed = zlib.compress(body) if name == b"deflate" else gzip.compress(body, mtime=0)
    packed = gzip.compress(packed, mtime=0) if b"," in name else packed
    if way == 1:
        return packed[: len(packed) // 2]
    return packed + b"garbage" if way == 2 else packed


def _framed(rng: random.Random, body: bytes, headers: Headers) -> bytes:
    """Say where a body ends, truly or not."""
    way = rng.randrange(16)
    if way < 7:
        headers.append((b"Content-Length", b"%d" % len(body)))
    elif way < 12:
        headers.append(
            (b"Transfer-Encoding", rng.choice((b"chunked",) * 6 + (b"Chunked", b"gzip, chunked", b"x")))
        )
        size = rng.choice(
            (b"%x" % len(body),) * 6
            + (b"no size", b"-1", b"ffffffffffffffffffff", b"", b"0", b"%x;x=y" % len(body))
        )
        end = rng.choice((b"0\r\n\r\n",) * 6 + (b"", b"0\r\nX: y\r\n\r\n", b"0\r\nno colon\r\n\r\n"))
        return size + b"\r\n" + body + b"\r\n" + end
    elif way < 15:
        said = (
            b"%d" % (len(body) + 9),
            b"%d" % max(len(body) - 9, 0),
            b"-1",
            b"many",
            b"",
            b"9" * 40,
            b"1, 2",
            b"+5",
            b"0x5",
        )
        headers.append((b"Content-Length", rng.choice(said)))
    return body


def _body(rng: random.Random, code: str) -> bytes:
    kind, told = rng.choice(_BODIES), spelled(rng, code)
    if kind in {"result", "batch", "error"}:
        return _encoded(rng, _json(rng, kind, told))
    bodies: dict[str, bytes] = {
        "page": f"<html><head><title>502 {told}</title></head><body><p>{told}</p></body></html>".encode(),
        "text": f"upstream {told} failed\n".encode(),
        "bytes": rng.randbytes(rng.randrange(200)) + told.encode(),
        "deep": rng.choice((b"[", b'{"result":')) * rng.choice((90, 5000)),
        "empty": b"",
    }
    return bodies[kind]


def _json(rng: random.Random, kind: str, told: str) -> str:
    time = ", ".join(f'"{name}": {rng.choice(_NUMBERS)}' for name in rng.sample(_TIMES, rng.randrange(4)))
    error = f'{{"error": {json.dumps(rng.choice((*_CODES, told)))}, "error_description": {json.dumps(told)}'
    if kind == "error":
        return f'{error}, "time": {{{time}}}}}'
    one = _value(rng, told)
    if kind == "batch":
        maps = {
            "result": f'{{"a": {one}, "0": {one}}}', "result_error": f'{{"b": {error}}}, "1": {error}}}}}',
            "result_total": f'{{"a": {rng.choice(_NUMBERS)}}}', "result_next": f'{{"a": {rng.choice(_NUMBERS)}}}',
            "result_time": f'{{"a": {{{time}}}, "b": {rng.choice(_NUMBERS)}}}',
        }  # fmt: skip
        for name in rng.sample([*maps], rng.randrange(3)):
            maps[name] = _value(rng, told)
        one = "{" + ", ".join(f'"{name}": {value}' for name, value in maps.items()) + "}"
    beside = f'"total": {rng.choice(_NUMBERS)}, "next": {rng.choice(_NUMBERS)}'
    return f'{{"result": {one}, {beside}, "time": {{{time}}}}}'


def _value(rng: random.Random, told: str) -> str:
    values: tuple[Any, ...] = (
        {"ID": "1", "NAME": told, "ADMIN": True}, [{"ID": "1"}, {"ID": told}], ["crm"], [told], told, True, None, [],
        {"items": [{"id": 1}]}, {told: told}, [{"CONTACT_ID": 3, "SORT": 10, "ROLE_ID": 0, "IS_PRIMARY": "Y"}],
    )  # fmt: skip
    return rng.choice((json.dumps(rng.choice(values)), json.dumps(rng.choice(values)), rng.choice(_NUMBERS)))


def _encoded(rng: random.Random, text: str) -> bytes:
    plain = text.encode()
    return rng.choice(
        (plain,) * 8
        + (text.encode("utf-16"), b"\xef\xbb\xbf" + plain, plain[:-1], plain * 2, plain + b"\xff")
    )
