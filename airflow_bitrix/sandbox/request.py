"""Reading a REST request the way PHP fills its parameters."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_plus

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from airflow_bitrix.sandbox import php

if TYPE_CHECKING:
    from starlette.requests import Request

MOST_BYTES = 64 * 2**20
"""The largest body of a request. 50 commands with all that PHP takes from them are a few million bytes."""


async def bounded_body(request: Request, most: int = MOST_BYTES) -> bytes:
    """Read a request's body.

    :raises HTTPException: 413, it is larger than ``most`` bytes; or 400, the client went away before its end.
    """
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > most:
                raise HTTPException(413, f"The body is larger than {most:,} bytes.")
    except ClientDisconnect:
        raise HTTPException(400) from None
    return bytes(body)


def _from_multipart(content_type: str, body: bytes, max_vars: int) -> dict[str, Any]:
    head = f"Content-Type: {content_type}\r\n\r\n".encode("latin-1")
    message = BytesParser(policy=policy.HTTP).parsebytes(head + body)
    pairs = []
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        if isinstance(name, str) and part.get_filename() is None:
            value = part.get_payload(decode=True)
            text = value.decode("utf-8", "replace") if isinstance(value, bytes) else ""
            pairs.append(f"{quote_plus(name)}={quote_plus(text)}")
    return php.parse_str("&".join(pairs), max_vars)


def read_params(method: str, query: str, content_type: str, body: bytes, max_vars: int) -> dict[str, Any]:
    """All parameters of a request: those of the address, overridden by those of a POST body.

    A JSON body that cannot be decoded is swallowed, and the request goes on without it.
    """
    params = php.parse_str(query, max_vars)
    kind = content_type.partition(";")[0].strip().lower()
    if method != "POST":
        return params
    if kind == "application/json":
        return params | dict(php.items(php.loads(body)))
    if kind == "application/x-www-form-urlencoded":
        return params | php.parse_str(body.decode("utf-8", "replace"), max_vars)
    if kind == "multipart/form-data":
        return params | _from_multipart(content_type, body, max_vars)
    return params
