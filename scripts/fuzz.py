"""Both hooks against answers that mean harm: ``make security`` draws 20,000, each by its seed.

Each is given to one call of each hook, with every logger at DEBUG, and all that comes of it is searched for
the webhook's code: logs, what is printed, errors with all that they came from. An error that is none of this
package's is found, too, and so is a call that takes its time.

``python -m scripts.fuzz --first 4711 --draws 1 --show`` repeats one, and shows what was answered.
"""

from __future__ import annotations

import argparse
import asyncio
import html
import http.client
import io
import json
import logging
import multiprocessing
import os
import random
import re
import socket
import sys
import tempfile
import threading
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple, Self
from urllib.parse import unquote

from airflow_bitrix.client.pacing import Retries
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook
from scripts.hostile_answers import answer

CODE = "s3cr3tWebhookCode42"
CONN_ID = "hostile_portal"
SLOW = 2.0
"""Seconds within which a call has come to its end; the answers are small, and nothing is repeated."""

_SEEDS_AT_ONCE = 250
_ESCAPE = re.compile(r"\\u([0-9a-f]{4})|\\x([0-9a-f]{2})")
_END_OF_REQUEST = b"\r\n\r\n"


class Finding(NamedTuple):
    """What should not have come of an answer.

    :param seed: Draws the answer again.
    :param kind: Which hook, and what is wrong.
    :param answer: What was answered.
    :param said: Where it shows.
    """

    seed: int
    kind: str
    answer: bytes
    said: str


# -- the portal ------------------------------------------------------------------------------------------


class Portal:
    """Answers each connection with the same bytes, and closes it."""

    def __init__(self) -> None:
        self.answer = b""
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=50)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with suppress(OSError), connection:
                    connection.settimeout(SLOW)
                    _read_request(connection)
                    connection.sendall(self.answer)


def _read_request(connection: socket.socket) -> None:
    told = b""
    while _END_OF_REQUEST not in told:
        told += connection.recv(65536) or _END_OF_REQUEST
    head, _, body = told.partition(_END_OF_REQUEST)
    found = re.search(rb"(?i)content-length: (\d+)", head)
    left = int(found[1]) - len(body) if found else 0
    while left > 0 and (piece := connection.recv(65536)):
        left -= len(piece)


# -- what is said ----------------------------------------------------------------------------------------


class _Lines(logging.Handler):
    """Keeps what is logged, as it would be printed."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.kept: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(levelname)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.kept.append(self.format(record))


@contextmanager
def _all_loggers() -> Iterator[list[str]]:
    """Listen to every logger, at every level."""
    lines = _Lines()
    known = [one for one in logging.root.manager.loggerDict.values() if isinstance(one, logging.Logger)]
    before = [(logger, logger.level) for logger in (logging.root, *known)]
    heard = [logger for logger, _ in before if logger is logging.root or not logger.propagate]
    for logger, _ in before:
        logger.setLevel(logging.DEBUG)
    for logger in heard:
        logger.addHandler(lines)
    try:
        yield lines.kept
    finally:
        for logger in heard:
            logger.removeHandler(lines)
        for logger, level in before:
            logger.setLevel(level)


@contextmanager
def _streams() -> Iterator[Callable[[], str]]:
    """Keep what this process prints, whoever prints it; what is given takes what has come."""
    with ExitStack() as stack:
        kept = stack.enter_context(tempfile.TemporaryFile())
        printed = stack.enter_context(
            io.TextIOWrapper(os.fdopen(os.dup(kept.fileno()), "wb", 0), write_through=True)
        )
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        for number in (1, 2):
            copy = os.dup(number)
            stack.callback(os.close, copy)
            stack.callback(os.dup2, copy, number)
            os.dup2(kept.fileno(), number)
        stack.enter_context(redirect_stdout(printed))
        stack.enter_context(redirect_stderr(printed))

        def take() -> str:
            told = os.pread(kept.fileno(), os.fstat(kept.fileno()).st_size, 0)
            os.ftruncate(kept.fileno(), 0)
            os.lseek(kept.fileno(), 0, os.SEEK_SET)  # for all that write there: they share one place
            return told.decode(errors="replace")

        yield take


def told_by(error: BaseException | None) -> str:
    """Give all that an error tells, with what it came from: text, arguments, traceback."""
    said = []
    while error is not None:
        said += [*traceback.format_exception(error), repr(error), repr(vars(error))]
        error = error.__cause__ or error.__context__
    return "\n".join(said)


def holds_code(text: str) -> bool:
    """Whether a text holds the code: in any case, and behind one or two rounds of escapes."""
    text, code = text.lower(), CODE.lower()
    for _ in range(3):
        if code in text:
            return True
        text = _ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), html.unescape(unquote(text)))
    return False


# -- the calls -------------------------------------------------------------------------------------------

_ADD = ("crm.lead.contact.add", {"id": 1, "fields": {"CONTACT_ID": 3}})
_GET = ("crm.lead.contact.items.get", {"id": 1})


def _quiet(hook: Any) -> Any:
    """Let a hook neither repeat nor wait."""
    hook.retries, hook.patience = Retries(times=0), replace(hook.patience, max_wait=0.0)
    return hook


def _errors(outcomes: Any) -> str:
    return "".join(told_by(outcome.error) for outcome in outcomes)


def _listed() -> str:
    next(_quiet(Bitrix24Hook(CONN_ID)).list("crm.lead.list"), None)
    return ""


def _called(*call: Any) -> str:
    _quiet(Bitrix24Hook(CONN_ID)).call(*call)
    return ""


def _run() -> str:
    Bitrix24Hook(CONN_ID).run("profile", "{}")  # as the stock operators do
    return ""


def _in_loop(*call: Any) -> str:
    asyncio.run(_quiet(Bitrix24AsyncHook(CONN_ID)).call(*call))
    return ""


async def _listed_in_loop() -> str:
    async for _ in _quiet(Bitrix24AsyncHook(CONN_ID)).list("crm.lead.list"):
        break
    return ""


CALLS: dict[str, Sequence[Callable[[], str]]] = {
    "sync": (
        lambda: _called("profile"),
        lambda: _called(*_ADD),
        lambda: _errors(_quiet(Bitrix24Hook(CONN_ID)).batch([_GET, _ADD])),
        _listed,
        _run,
        lambda: str(_quiet(Bitrix24Hook(CONN_ID)).test_connection()),
    ),
    "async": (
        lambda: _in_loop("profile"),
        lambda: _in_loop(*_ADD),
        lambda: _errors(asyncio.run(_quiet(Bitrix24AsyncHook(CONN_ID)).batch([_GET, _ADD]))),
        lambda: asyncio.run(_listed_in_loop()),
    ),
}
"""Calls of each hook. They give what people read of what came; results are the portal's data."""


@contextmanager
def _connected(port: int) -> Iterator[None]:
    name, limits = f"AIRFLOW_CONN_{CONN_ID.upper()}", {"plan": "self_hosted", "timeout": 1, "deadline": 2}
    webhook = f"http://127.0.0.1:{port}/rest/1/{CODE}/"
    os.environ[name] = json.dumps({"conn_type": "bitrix24", "password": webhook, "extra": limits})
    printed, http.client.HTTPConnection.debuglevel = http.client.HTTPConnection.debuglevel, 1
    try:
        yield
    finally:
        http.client.HTTPConnection.debuglevel = printed
        del os.environ[name]


Wrong = tuple[str, str]
"""What should not have come of a call: its kind, and the text in which it shows."""


@contextmanager
def watched() -> Iterator[Callable[[Callable[[], str]], Iterator[Wrong]]]:
    """Listen to all that this process says; what is given makes a call, and says what is wrong with it."""
    with _all_loggers() as logged, _streams() as printed:
        yield lambda call: _wrong(call, logged, printed)


def _wrong(call: Callable[[], str], logged: list[str], printed: Callable[[], str]) -> Iterator[Wrong]:
    said, began = {}, time.monotonic()
    strange: Wrong | None = None
    try:
        said["words of the hook"] = call()
    except Bitrix24Error as error:
        said["error"] = told_by(error)
    except Exception as error:  # noqa: BLE001 (whatever it is, it is none of ours)
        said["error"] = told_by(error)
        last = traceback.extract_tb(error.__traceback__)[-1]
        strange = f"{type(error).__name__} in {Path(last.filename).name}", said["error"]
    seconds = time.monotonic() - began
    said |= {f"log of {line.split(' ', 1)[0]}": line for line in logged if holds_code(line)}
    said["stream"] = printed()
    logged.clear()
    if strange:
        yield strange
    if seconds > SLOW:
        yield "slow", f"{seconds:.1f} s"
    yield from ((f"code in the {where}", text) for where, text in said.items() if holds_code(text))


def attack(seeds: Sequence[int]) -> list[Finding]:
    """Give each answer to a call of each hook, and say what should not have come of it."""
    found = []
    with Portal() as portal, _connected(portal.port), watched() as look:
        for seed in seeds:
            rng = random.Random(seed)
            portal.answer = answer(rng, CODE)
            for name, calls in CALLS.items():
                wrong = look(rng.choice(calls))
                found += [Finding(seed, f"{name}: {kind}", portal.answer, said) for kind, said in wrong]
    return found


# -- many of them ----------------------------------------------------------------------------------------


def table(found: Sequence[Finding]) -> str:
    """Tell the findings by kind, each with the shortest answer that shows it."""
    kinds: dict[str, list[Finding]] = defaultdict(list)
    for one in found:
        kinds[one.kind].append(one)
    lines = []
    for kind, ones in sorted(kinds.items(), key=lambda item: -len(item[1])):
        least = min(ones, key=lambda one: len(one.answer))
        spot = next((line for line in least.said.splitlines() if holds_code(line)), least.said[-300:])
        lines.append(
            f"{len(ones):5}  {kind}\n       seed {least.seed}: {least.answer[:300]!r}\n       {spot[:300]}"
        )
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Draw answers in several processes; the exit code is 1 where something was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=20_000)
    parser.add_argument("--first", type=int, default=1, help="the first seed")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="show each answer, and what was said of it")
    options = parser.parse_args(argv)
    seeds, began = range(options.first, options.first + options.draws), time.monotonic()
    if options.show:
        for seed in seeds:
            print(seed, answer(random.Random(seed), CODE))
    pieces = [seeds[start : start + _SEEDS_AT_ONCE] for start in range(0, len(seeds), _SEEDS_AT_ONCE)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        found = [one for piece in pool.map(attack, pieces) for one in piece]
    if options.show:
        print(*(f"{one.seed} {one.kind}\n{one.said}" for one in found), sep="\n")
    calls = len(seeds) * len(CALLS)
    print(f"{len(seeds)} answers, {calls} calls, {time.monotonic() - began:.0f} s, {len(found)} findings")
    print(table(found))
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
