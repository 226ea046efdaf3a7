"""Run a sandbox portal: ``python -m airflow_bitrix.sandbox --port 8900 --leads 2000``."""

from __future__ import annotations

import argparse
import re
import signal
import sys
import textwrap
import threading
from typing import TYPE_CHECKING

from airflow_bitrix.sandbox.limits import PLANS
from airflow_bitrix.sandbox.server import Sandbox, check_host
from airflow_bitrix.sandbox.settings import Faults, Switches, meanings
from airflow_bitrix.sandbox.visitors import check_names

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_USAGE_ERROR = 2
_MAX_PORT = 65_535
_MAX_RECORDS = 10_000_000
_NAMES = {"items": "items of a smart process (entityTypeId 1036)"}
_MADE_UP = {
    "leads": 2000,
    "deals": 2000,
    "contacts": 3000,
    "quotes": 0,
    "companies": 0,
    "invoices": 0,
    "items": 0,
}


def _whole(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else low - 1
        if not low <= number <= high:
            raise argparse.ArgumentTypeError(f"takes a whole number from {low} to {high}, not {text!r}")
        return number

    return parse


def _host(text: str) -> str:
    try:
        return check_host(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("host ")) from None


def _name(text: str) -> str:
    try:
        [name] = check_names([text])
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error).removeprefix("names ")) from None
    return name


def _code(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9]{1,64}", text):
        raise argparse.ArgumentTypeError(f"takes up to 64 letters and digits, not {text!r}")
    return text


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 60:  # noqa: PLR2004
        raise argparse.ArgumentTypeError(f"takes seconds from 0 to 60, not {text!r}")
    return seconds


class _Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line, without the usage in front of it."""

    def error(self, message: str) -> None:  # type: ignore[override]
        self.exit(_USAGE_ERROR, f"{self.prog}: {message}\n")


class _HelpFormatter(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and leaves the lines of the epilog as they are."""


def _epilog() -> str:
    """Tell of the control routes, and all that can be set there."""
    lines = [
        "What the records hold is told at /__sandbox/truth, and what was written at /__sandbox/writes,",
        "which comments at /__sandbox/comments, and who was told what at /__sandbox/messages and /online/.",
        "/__sandbox/application gives the extras of a connection for the portal's local application.",
        'Failures and behaviour are set by posting a JSON object, such as {"throttle": 0.3}, as',
        "application/json; DELETE takes all of them back, GET shows them.",
    ]
    shares = "faults, a share of requests from 0 to 1 each, but for some"
    for name, kind in ((shares, Faults), ("switches", Switches)):
        lines += ["", f"/__sandbox/{name}:"]
        for setting, meaning in meanings(kind).items():
            lines += textwrap.wrap(
                f"{setting:<24} {meaning}", 100, initial_indent="  ", subsequent_indent=" " * 27
            )
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="python -m airflow_bitrix.sandbox",
        description="A local stand-in for a Bitrix24 portal. "
        "Prints the address of its webhook and serves until it is stopped.",
        epilog=_epilog(),
        formatter_class=_HelpFormatter,
        allow_abbrev=False,
    )
    records = _whole(0, _MAX_RECORDS)
    parser.add_argument("--host", type=_host, default="127.0.0.1", help="loopback address to listen on")
    parser.add_argument(
        "--name",
        dest="names",
        type=_name,
        action="append",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="a host, or a host and a port, that it also answers to, and whose pages may call it; "
        "may be given again",
    )
    parser.add_argument(
        "--port", type=_whole(0, _MAX_PORT), default=8900, help="port to listen on; 0 takes a free one"
    )
    for name, many in _MADE_UP.items():
        what = f"how many {_NAMES.get(name, name)} to make up"
        parser.add_argument(f"--{name}", type=records, default=many, metavar="N", help=what)
    parser.add_argument(
        "--seed",
        type=_whole(0, 2**53),
        default=7,
        metavar="N",
        help="the same seed makes up the same records",
    )
    parser.add_argument(
        "--originator",
        default=argparse.SUPPRESS,
        metavar="NAME",
        help="make records look imported: NAME is their ORIGINATOR_ID, their own id their ORIGIN_ID",
    )
    parser.add_argument(
        "--code", type=_code, default=argparse.SUPPRESS, help="secret code of the webhook (default: random)"
    )
    parser.add_argument(
        "--user", type=_whole(1, 2**31), default=1, metavar="ID", help="user id of the webhook"
    )
    parser.add_argument(
        "--plan",
        choices=list(PLANS),
        default="standard",
        help="whose request limit: 2 or 5 a second, or none",
    )
    parser.add_argument(
        "--tls",
        action="store_true",
        default=argparse.SUPPRESS,
        help="serve https; the second line printed is the authority to trust",
    )
    parser.add_argument(
        "--latency",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="time that every REST call takes at least",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM and return the exit code."""
    parser = _parser()
    options = parser.parse_args(argv)
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        with Sandbox(**vars(options)) as sandbox:
            print(f"webhook: {sandbox.webhook_url}", flush=True)  # noqa: T201 - the address is what a caller waits for
            if sandbox.authority:
                print(f"authority: {sandbox.authority}", flush=True)  # noqa: T201
            stop.wait()
    except OSError as error:
        parser.exit(
            _USAGE_ERROR, f"{parser.prog}: cannot listen on {options.host}:{options.port}: {error.strerror}\n"
        )
    print("stopped", flush=True)  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
