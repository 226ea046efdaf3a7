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
from contextlib import ExitStack, closing
from dataclasses import replace
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Protocol
from urllib.parse import parse_qs, urlencode, urlsplit

from airflow_bitrix.client.auth import portal_address
from airflow_bitrix.client.kept_tokens import Part, text_of
from airflow_bitrix.client.oauth import Application, Pair, refused, server_address
from airflow_bitrix.core.errors import Bitrix24Error, InvalidInput
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext, gettext_noop

_USAGE_ERROR = 2
_LAST_PORT = 65_535
_LONGEST = 4096
WAITS = 300.0
"""Seconds for which a browser is waited for."""
SOON = 20.0
"""The same for one that was led on; the portal asks nothing the second time."""

_AGAIN = gettext_noop("begin again")
_SPARE = gettext_noop(
    "There are spare tokens, too, for the case that a worker that is killed takes these along."
)
_NO_SPARE = gettext_noop("There are no spare tokens.")


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
    accepted = gettext("the whole address that the browser was sent to, with code= and state= in it")
    if "code" not in told:
        said = as_plain_text(
            told.get("error_description") or told.get("error") or gettext("there is no code in it")
        )
        raise InvalidInput(
            "address", "***", accepted, problem=gettext("it is not accepted, {said}", said=said)
        )
    if not secrets.compare_digest(told.get("state", "").encode(), state.encode()):
        problem = gettext("it belongs to another login, its state is not the one of this")
        raise InvalidInput(
            "address", "***", gettext("that of this login; {again}", again=gettext(_AGAIN)), problem=problem
        )
    if "domain" in told and _portal(told["domain"], application.portal) != application.portal:
        problem = gettext("it comes from {domain}", domain=repr(as_plain_text(told["domain"], 100)))
        raise InvalidInput(
            "address",
            "***",
            gettext("that of {portal}; {again}", portal=application.portal, again=gettext(_AGAIN)),
            problem=problem,
        )
    named = application.server or server_address(told.get("server_domain", ""), "server_domain")
    if not named:
        raise InvalidInput(
            "extra.server_endpoint",
            "",
            gettext("the address of the OAuth server, as the portal did not name it"),
        )
    return told["code"], named


def _portal(domain: str, like: str) -> str:
    try:
        return portal_address(f"{like.partition('://')[0]}://{domain}")
    except InvalidInput:
        return ""


# -- where the address comes from ---------------------------------------------------------------------------


class Browser(Protocol):
    """The browser in which a person logs in."""

    leads_on: bool
    """Whether it opens a further page by itself."""

    def come_back(self, then: str) -> str:
        """Give the address to which the portal has sent it, empty for none.

        :param then: The page that it is to open next, empty for none.
        """


class Pasted:
    """A person pastes the address; it is not shown, as there is a code in it."""

    leads_on = False

    def come_back(self, then: str) -> str:  # noqa: ARG002 (as the browser has it)
        """Ask for the address."""
        print(gettext("Paste the whole address that it was sent to; it is not shown."), flush=True)  # noqa: T201
        if sys.stdin.isatty():
            return getpass.getpass("Address: ")
        return sys.stdin.readline(_LONGEST)


class _Once(BaseHTTPRequestHandler):
    """Takes the browser that comes back, and tells its person that all is done, or leads it on."""

    server: _Listener
    timeout = 5

    def do_GET(self) -> None:
        query = urlsplit(self.path).query
        if came := "state=" in query:
            self.server.found = query
        then = self.server.then if came else ""
        self.send_response(HTTPStatus.FOUND if then else HTTPStatus.OK if came else HTTPStatus.NOT_FOUND)
        if then:
            self.send_header("Location", then)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.send_header("Cache-Control", "no-store")
        self.send_header("Referrer-Policy", "no-referrer")
        self.end_headers()
        self.wfile.write(gettext("Back to the terminal: it says whether the login has worked.\n").encode())

    def log_message(self, *_: object) -> None:
        """Say nothing: the address holds the code."""


class _Listener(HTTPServer):
    address_family = socket.AF_INET
    found = then = ""


class Listened:
    """A browser that comes back to a port of this machine, and is led on from there.

    :param waits: Seconds for which it is waited for.
    :raises OSError: The port is taken.
    """

    leads_on = True

    def __init__(self, port: int, waits: float = WAITS) -> None:
        self._server, self._waits = _Listener(("127.0.0.1", port), _Once), waits

    def come_back(self, then: str) -> str:
        """Wait for it, lead it to the next page, and give what it brings; then it is soon here again."""
        server, ends = self._server, time.monotonic() + self._waits
        server.found, server.then, self._waits = "", then, SOON
        while not server.found and (left := ends - time.monotonic()) > 0:
            server.timeout = left
            server.handle_request()
        return server.found

    def close(self) -> None:
        """Listen no longer."""
        self._server.server_close()


# -- the command --------------------------------------------------------------------------------------------


def log_in(conn_id: str, browser: Browser, say: Callable[[str], object]) -> None:
    """Log in, and store the tokens; and once more, for spare ones.

    :param browser: Gives the address that the browser was sent to.
    :param say: Told what a person is to know.
    :raises Bitrix24Error: Why there are no tokens.
    """
    # Airflow takes long to import, and a help is wanted at once.
    from airflow_bitrix.hooks.connection import ReadsConnections, fields_of  # noqa: PLC0415
    from airflow_bitrix.hooks.tokens import hide, server_of, store_of  # noqa: PLC0415

    settings, proxy = fields_of(ReadsConnections(), conn_id)
    application = settings.login
    if not isinstance(application, Application):
        accepted = gettext(
            "client_id and client_secret of a local application, in a connection without a webhook"
        )
        raise InvalidInput("extra.client_id", "", accepted)
    store = store_of(application)
    store.read()  # where it is away, nobody is asked for a login in vain
    states = [secrets.token_urlsafe(24) for _ in "12"]
    page, spare_page = (authorize_address(application, state) for state in states)

    def keep(address: str, state: str, part: Part) -> None:
        code, named = brought_back(address, application, state)
        hide(code)
        found = server_of(named, settings, proxy).exchange(application, code)
        if not isinstance(found, Pair):
            raise refused(found, named, conn_id, by_code=True)
        for secret in (found.access, found.refresh):
            hide(secret)
        pair = replace(found, server=found.server or named)
        store.write(text_of(pair, time.time(), socket.gethostname()), part)

    say(gettext(
"Open this page, logged in at the portal as the user in whose name the calls are to be "
"made:\n\n  {page}\n", page=page))  # fmt: skip
    say(gettext(
"The portal then sends the browser to the address in the application's card. Its code is good "
"for 30 seconds."))  # fmt: skip
    keep(browser.come_back(spare_page), states[0], "pair")
    say(
        gettext(
            "Logged in to {portal}. The tokens are in {store}; all workers take them from there.",
            portal=application.portal,
            store=store,
        )
    )
    if not browser.leads_on:
        say(gettext(
"For spare tokens, which are used where a worker that is killed takes these along, open "
"this page, too. Without them, press Enter.\n\n  {spare_page}\n", spare_page=spare_page))  # fmt: skip
    store.write("", "spare")  # those of an earlier login may be another user's
    try:
        if came := browser.come_back("").strip():
            keep(came, states[1], "spare")
        say(gettext(_SPARE if came else _NO_SPARE))
    except Bitrix24Error as error:
        say(f"{gettext(_NO_SPARE)} {error}")


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
        with ExitStack() as stack:
            listened = stack.enter_context(closing(Listened(options.listen))) if options.listen else None
            log_in(options.conn_id, listened or Pasted(), print)
    except Bitrix24Error as error:
        print(gettext("Not logged in. {error}", error=error), file=sys.stderr)  # noqa: T201 (a person waits for it)
        return 1
    except OSError as error:
        said = gettext("Not logged in. Port {port}: {why}", port=str(options.listen), why=error.strerror)
        print(said, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
