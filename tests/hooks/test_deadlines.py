"""Every wait has an end: whatever keeps an answer from coming, a request is over at its deadline."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from airflow_bitrix.core.errors import Bitrix24Error, OutcomeUnknown, RetryLater
from airflow_bitrix.sandbox.server import Sandbox
from tests.hooks.raw_portals import BOTH_HOOKS, EACH_WAY, Way, call_async

DEADLINE = 0.5
FAULTS: dict[str, dict[str, Any]] = {
    "silent": {"silent": 1.0},
    "drip": {"drip": 1.0, "drip_seconds": 0.01},
    "endless": {"endless": 1.0},
    "bad_chunk": {"bad_chunk": 1.0},
}


@pytest.fixture(scope="module", params=["http", "https"])
def either(request: pytest.FixtureRequest) -> Iterator[Sandbox]:
    with Sandbox(plan="self_hosted", tls=request.param == "https") as sandbox:
        yield sandbox


@pytest.fixture
def portal(either: Sandbox, connection: Any) -> Sandbox:
    """A sandbox behind a connection with a short deadline."""
    either.reset()
    verify = {"verify": str(either.authority)} if either.authority else {}
    connection(either.webhook_url, extra={"deadline": DEADLINE, **verify})
    return either


@pytest.mark.parametrize("fault", FAULTS)
@EACH_WAY
def test_an_answer_that_comes_to_no_end_is_lost_at_the_deadline(
    way: Way, fault: str, portal: Sandbox
) -> None:
    portal.set_faults(**FAULTS[fault])
    # One of the two libraries sees at once that what should be a size is none.
    seen = fault == "bad_chunk" and way is not call_async
    told = "what came is no answer by the rules of HTTP" if seen else "no whole answer within 0.5 s"
    with pytest.raises(RetryLater, match=re.escape(told)):
        way("profile", {})


@BOTH_HOOKS
def test_a_write_that_is_lost_so_may_have_been_carried_out(way: Way, portal: Sandbox) -> None:
    portal.set_faults(silent=1.0)
    with pytest.raises(OutcomeUnknown, match=r"no whole answer within 0\.5 s"):
        way("crm.lead.add", {"fields": {"TITLE": "x"}})


@BOTH_HOOKS
def test_a_slow_answer_that_ends_in_time_is_read(way: Way, portal: Sandbox, connection: Any) -> None:
    verify = {"verify": str(portal.authority)} if portal.authority else {}
    connection(portal.webhook_url, extra={"deadline": 60, **verify})
    portal.set_faults(drip=1.0, drip_seconds=0)
    assert way("profile", {})["ADMIN"] is True


@pytest.fixture
def deaf() -> Iterator[int]:
    """The port of a server to which one can connect, and that never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def babbling() -> Iterator[int]:
    """The port of a server that sends a header without an end, byte by byte."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    one, _ = server.accept()
                    with suppress(OSError), one:
                        one.sendall(b"HTTP/1.1 200 OK\r\nX-Header: ")
                        while not over.wait(0.01):
                            one.sendall(b"x")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield server.getsockname()[1]
        over.set()
        server.shutdown(socket.SHUT_RDWR)
        thread.join()


def ends(way: Way) -> Bitrix24Error:
    with pytest.raises(RetryLater) as lost:
        way("profile", {})
    return lost.value


@EACH_WAY
def test_a_handshake_that_stalls_ends(way: Way, deaf: int, connection: Any) -> None:
    connection(f"https://127.0.0.1:{deaf}/rest/1/abc123/", extra={"deadline": DEADLINE})
    assert "within 0.5 s" in str(ends(way))


@EACH_WAY
def test_headers_without_an_end_come_to_one(way: Way, babbling: int, connection: Any) -> None:
    connection(f"http://127.0.0.1:{babbling}/rest/1/abc123/", extra={"deadline": DEADLINE})
    assert "no whole answer within 0.5 s" in str(ends(way))


@pytest.mark.parametrize("proxy", ["deaf", "babbling"])
@EACH_WAY
def test_a_proxy_that_is_silent_or_babbles_ends_nothing_late(
    way: Way, proxy: str, request: pytest.FixtureRequest, connection: Any
) -> None:
    port = request.getfixturevalue(proxy)
    extra = {"deadline": DEADLINE, "proxy": f"http://127.0.0.1:{port}"}
    connection("https://acme.bitrix24.com/rest/1/abc123/", extra=extra)
    assert "within 0.5 s" in str(ends(way))
