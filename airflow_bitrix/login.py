"""Log in as an application: ``python -m airflow_bitrix.login --conn-id bitrix24_default``.

Leads a person through the login at the portal, and stores the tokens where all workers read them. Follows
https://apidocs.bitrix24.com/settings/oauth/index.html.
"""

from __future__ import annotations

import argparse
import getpass
import os
import secrets
import socket
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from airflow_bitrix.client.auth import portal_address
from airflow_bitrix.client.kept_tokens import text_of
from airflow_bitrix.client.oauth import Application, Pair, refused, server_address
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput
from airflow_bitrix.core.foreign_text import as_plain_text

_USAGE_ERROR = 2
_LAST_PORT = 65_535
_LONGEST = 4096
WAITS = 300.0
"""Seconds for which a browser is waited for."""

_AGAIN = "begin again"


def authorize_address(application: Application, state: str) -> str:
    """Give the page of the portal on which a person lets the application in; there is no secret in it."""
    asked = {"client_id": application.client_id, "response_type": "code", "state": state}
    return f"{application.portal}/oauth/authorize/?{urlencode(asked)}"


def brought_back(address: str, application: Application, state: str) -> tuple[str, str]:
    """Read the address to which the portal sent the browser, and give the code and the OAuth server.

    :param address: The whole of it, or what stands behind the question mark.
    :raises InvalidInput: It belongs to another login or portal, or names no server. It is not shown.
    """
    try:
        parts = urlsplit(address.strip())
        told = {name: values[0] for name, values in parse_qs(parts.query or parts.path).items()}
    except ValueError:
        told = {}
    accepted = "the whole address that the browser was sent to, with code= and state= in it"
    if "code" not in told:
        said = as_plain_text(told.get("error_description") or told.get("error") or "there is no code in it")
        raise InvalidInput("address", "***", accepted, problem=f"it is not accepted, {said}")
    if not secrets.compare_digest(told.get("state", "").encode(), state.encode()):
        problem = "it belongs to another login, its state is not the one of this"
        raise InvalidInput("address", "***", f"that of this login; {_AGAIN}", problem=problem)
    if "domain" in told and _portal(told["domain"], application.portal) != application.portal:
        problem = f"it comes from {as_plain_text(told['domain'], 100)!r}"
        raise InvalidInput("address", "***", f"that of {application.portal}; {_AGAIN}", problem=problem)
    named = application.server or server_address(told.get("server_domain", ""), "server_domain")
    if not named:
        raise InvalidInput(
            "extra.server_endpoint", "", "the address of the OAuth server, as the portal did not name it"
        )
    return told["code"], named


def _portal(domain: str, like: str) -> str:
    try:
        return portal_address(f"{like.partition('://')[0]}://{domain}")
    except InvalidInput:
        return ""


# -- where the address comes from ---------------------------------------------------------------------------


def pasted() -> str:
    """Ask for the address; it is not shown, as there is a code in it."""
    if sys.stdin.isatty():
        return getpass.getpass("Address: ")
    return sys.stdin.readline(_LONGEST)


class _Once(BaseHTTPRequestHandler):
    """Takes the browser that comes back, and tells its person that all is done."""

    server: _Listener
    timeout = 5

    def do_GET(self) -> None:
        query = urlsplit(self.path).query
        if "state=" in query:
            self.server.found = query
        self.send_response(HTTPStatus.OK if self.server.found else HTTPStatus.NOT_FOUND)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(b"Back to the terminal: it says whether the login has worked.\n")

    def log_message(self, *_: object) -> None:
        """Say nothing: the address holds the code."""


class _Listener(HTTPServer):
    address_family = socket.AF_INET
    found = ""


def listened(port: int, waits: float = WAITS) -> Callable[[], str]:
    """Listen on a port of this machine, and give what waits for the browser.

    :raises OSError: The port is taken.
    """
    server = _Listener(("127.0.0.1", port), _Once)

    def wait() -> str:
        ends = time.monotonic() + waits
        with server:
            while not server.found and (left := ends - time.monotonic()) > 0:
                server.timeout = left
                server.handle_request()
        return server.found

    return wait


# -- the command --------------------------------------------------------------------------------------------


def log_in(conn_id: str, answered: Callable[[], str], say: Callable[[str], object]) -> None:
    """Log in, and store the tokens.

    :param answered: Gives the address that the browser was sent to.
    :param say: Told what a person is to know.
    :raises Bitrix24Error: Why there are no tokens.
    """
    # Airflow takes long to import, and a help is wanted at once.
    from airflow_bitrix.hooks.connection import ReadsConnections, fields_of  # noqa: PLC0415
    from airflow_bitrix.hooks.tokens import hide, server_of, store_of  # noqa: PLC0415

    settings, proxy = fields_of(ReadsConnections(), conn_id)
    application = settings.login
    if not isinstance(application, Application):
        accepted = "client_id and client_secret of a local application, in a connection without a webhook"
        raise InvalidInput("extra.client_id", "", accepted)
    store = store_of(application)
    store.read()  # where it is away, nobody is asked for a login in vain
    state = secrets.token_urlsafe(24)
    say(f"Open this page, logged in at the portal as the user in whose name the calls are to be made:\n\n"
        f"  {authorize_address(application, state)}\n")  # fmt: skip
    say("The portal then sends the browser to the address in the application's card. Its code is good for 30 "
        "seconds.")  # fmt: skip
    code, named = brought_back(answered(), application, state)
    hide(code)
    found = server_of(named, settings, proxy).exchange(application, code)
    if not isinstance(found, Pair):
        raise refused(found, named, conn_id, by_code=True)
    for secret in (found.access, found.refresh):
        hide(secret)
    pair = replace(found, server=found.server or named)
    store.write(text_of(pair, time.time(), socket.gethostname()))
    say(f"Logged in to {application.portal}. The tokens are in {store}; all workers take them from there.")


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _LAST_PORT:
        raise argparse.ArgumentTypeError(f"takes a port from 1 to {_LAST_PORT}, not {text!r}")
    return int(text)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m airflow_bitrix.login",
        description="Log in at a Bitrix24 portal as an application, and store its tokens for all workers.",
        allow_abbrev=False,
    )
    parser.add_argument("--conn-id", default="bitrix24_default", help="the connection of type bitrix24")
    parser.add_argument(
        "--listen",
        type=_port,
        metavar="PORT",
        help="take the browser back on this port, where the application's card has http://127.0.0.1:PORT/ ; "
        "without it the address is pasted",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Log in, and return the exit code."""
    options = _parser().parse_args(argv)
    # As Airflow's own commands do: this process asks the database of Airflow itself.
    os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    try:
        answered = listened(options.listen) if options.listen else _asked
        log_in(options.conn_id, answered, print)
    except Bitrix24Error as error:
        print(f"Not logged in. {error}", file=sys.stderr)  # noqa: T201 (a person waits for it)
        return 1
    except OSError as error:
        print(f"Not logged in. Port {options.listen}: {error.strerror}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _asked() -> str:
    print("Paste the whole address that it was sent to; it is not shown.", flush=True)  # noqa: T201
    return pasted()


if __name__ == "__main__":
    sys.exit(main())
