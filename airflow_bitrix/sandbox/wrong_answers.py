"""Answers that are not the portal's own, or not whole: what proxies and half-broken builds make of them.

The work is done each time; only what is said of it is wrong. Each kind has a name, under which the fault
``wrong_answers`` gives the share of requests that it hits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox import php

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Mapping

    from airflow_bitrix.sandbox.portal import Reply

Said = tuple[int, bytes]
"""An HTTP status and a body."""

_PAGE = b"<html><head><title>%d</title></head><body><h1>The proxy speaks</h1></body></html>"


def _json(status: int, body: Any) -> Callable[[Said], Said]:
    return lambda _: (status, php.dumps(body))


def _page(status: int) -> Callable[[Said], Said]:
    return lambda _: (status, _PAGE % status)


def _error(status: int, code: str) -> Callable[[Said], Said]:
    return _json(status, {"error": code, "error_description": "Try again later"})


def _body(change: Callable[[bytes], bytes]) -> Callable[[Said], Said]:
    return lambda said: (said[0], change(said[1]))


TWICE = "carried_out_twice"
"""The request is carried out twice, as by a proxy that repeats a POST; the second answer is given."""

WHOLE: Mapping[str, Callable[[Said], Said]] = {
    "result_list": _json(200, {"result": []}),
    "result_null": _json(200, {"result": None}),
    "result_text": _json(200, {"result": "ok"}),
    "result_true": _json(200, {"result": True}),
    "result_number": _json(200, {"result": 1}),
    "result_missing": _json(200, {"time": {}}),
    "json_list": _json(200, []),
    "json_text": _json(200, "ok"),
    "json_null": _json(200, None),
    "body_empty": _body(lambda _: b""),
    "body_blank": _body(lambda _: b"  \n"),
    "body_half": _body(lambda body: body[: len(body) // 2]),
    "body_twice": _body(lambda body: body + body),
    "body_not_utf8": _body(lambda body: b"\xff\xfe" + body),
    "page_200": _page(200),
    "page_404": _page(404),
    "page_500": _page(500),
    "page_502": _page(502),
    "page_504": _page(504),
    "throttled_after": _error(503, "QUERY_LIMIT_EXCEEDED"),
    "failed_after": _error(500, "INTERNAL_SERVER_ERROR"),
    "status_without_error": lambda said: (500, said[1]),
}
"""What becomes of a whole answer."""


def _drop(maps: dict[str, Any], key: str) -> None:
    for one in maps.values():
        if isinstance(one, dict):
            one.pop(key, None)


def _result(value: Any) -> Callable[[dict[str, Any], str], None]:
    def change(maps: dict[str, Any], key: str) -> None:
        if isinstance(maps["result"], dict) and key in maps["result"]:
            maps["result"][key] = value

    return change


def _of_map(name: str, value: Any) -> Callable[[dict[str, Any], str], None]:
    return lambda maps, _: maps.__setitem__(name, value)


COMMAND: Mapping[str, Callable[[dict[str, Any], str], None]] = {
    "command_missing": _drop,
    "command_null": _result(None),
    "command_list": _result([]),
    "command_map": _result({}),
    "command_text": _result("ok"),
    "command_number": _result(1),
    "commands_list": _of_map("result", []),
    "commands_null": _of_map("result", None),
    "errors_text": _of_map("result_error", "none"),
    "errors_null": _of_map("result_error", None),
    "times_text": _of_map("result_time", "none"),
}
"""What becomes of one command of a batch, or of the maps that tell of all."""

LINKS: Mapping[str, Callable[[list[dict[str, Any]]], Any]] = {
    "links_empty": lambda _: [],
    "links_null": lambda _: None,
    "links_map": lambda rows: {str(number): row for number, row in enumerate(rows)},
    "links_text": lambda rows: [{**row, "CONTACT_ID": str(row["CONTACT_ID"])} for row in rows],
    "links_odd_ids": lambda rows: [{**row, "CONTACT_ID": f"{row['CONTACT_ID']}abc"} for row in rows],
    "links_true_ids": lambda rows: [{**row, "CONTACT_ID": True} for row in rows],
    "links_without_ids": lambda rows: [{"SORT": row["SORT"]} for row in rows],
    "links_without_sorts": lambda rows: [{"CONTACT_ID": row["CONTACT_ID"]} for row in rows],
    "links_twice": lambda rows: [*rows, *rows],
    "links_of_numbers": lambda rows: [row["CONTACT_ID"] for row in rows],
    "links_one_less": lambda rows: rows[:-1],
}
"""What becomes of the rows of one ``items.get``."""

KINDS = (TWICE, *WHOLE, *COMMAND, *LINKS)


def said(reply: Reply, method: str, params: Any, kinds: list[str], rng: random.Random) -> Said:
    """Give what is said in place of an answer.

    :param kinds: Names of what is wrong with it; those that do not fit the answer change nothing.
    """
    body = reply.body
    for kind in kinds:
        if kind in COMMAND and method == "batch" and isinstance(body.get("result"), dict):
            keys = [key for key, _ in php.items(php.item(params, "cmd"))]
            if keys:
                COMMAND[kind](body["result"], rng.choice(keys))
        elif kind in LINKS:
            _distort_links(body, method, params, LINKS[kind], rng)
    told = reply.status, php.dumps(body)
    for kind in kinds:
        if kind in WHOLE:
            told = WHOLE[kind](told)
    return told


def _distort_links(
    body: dict[str, Any],
    method: str,
    params: Any,
    change: Callable[[list[dict[str, Any]]], Any],
    rng: random.Random,
) -> None:
    if method != "batch":
        if method.endswith(".contact.items.get") and isinstance(body.get("result"), list):
            body["result"] = change(body["result"])
        return
    result = body.get("result")
    results = result.get("result") if isinstance(result, dict) else None
    if not isinstance(results, dict):
        return
    commands = dict(php.items(php.item(params, "cmd")))
    gets = [
        key for key, one in results.items() if ".contact.items.get" in commands[key] and isinstance(one, list)
    ]
    if gets:
        key = rng.choice(gets)
        results[key] = change(results[key])
