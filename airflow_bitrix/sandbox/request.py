"""Reading a REST request the way PHP fills its parameters."""

from __future__ import annotations

from email import policy
from email.parser import BytesParser
from typing import Any
from urllib.parse import quote_plus

from airflow_bitrix.sandbox import php


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
