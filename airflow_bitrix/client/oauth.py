"""An application that logs in with tokens: what its connection says, and what an OAuth server answers.

Follows https://apidocs.bitrix24.com/settings/oauth/index.html. Pure functions, no input or output.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from airflow_bitrix.client.auth import portal_address
from airflow_bitrix.client.bodies import UnreadableError, parsed
from airflow_bitrix.client.logins import belongs_to
from airflow_bitrix.client.wire import Lost, Reply
from airflow_bitrix.core.errors import AuthFailed, Bitrix24Error, InvalidInput, PortalAnswer, RetryLater
from airflow_bitrix.core.languages import gettext, gettext_noop

TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]{4,4000}")
"""What a token looks like; it stands in a header and in an address."""

_CLIENT = re.compile(r"[A-Za-z0-9._-]{3,200}")
_REST = "/rest/"
_SERVER_PATHS = ("", "/", "/rest", "/rest/")
_ACCEPTED_SERVER = gettext_noop(
    "the address of the OAuth server that the portal names, such as "
    "https://oauth.bitrix.info/rest/; plain http only for a loopback address"
)


@dataclass(frozen=True, slots=True)
class Pair:
    """An access token, and the refresh token that gets the next pair, once.

    :param server: Address of the OAuth server that gave it, ``https://oauth.bitrix.info``; may be empty.
    """

    access: str = field(repr=False)
    refresh: str = field(repr=False)
    server: str = ""


@dataclass(frozen=True, slots=True)
class Application:
    """A local application of a portal, as a connection describes it.

    :param portal: The portal's address, without a closing slash.
    :param client_id: Its id, which is no secret.
    :param client_secret: Its secret.
    :param server: The OAuth server's address, empty where the connection does not name it.
    :param pair: The tokens in the connection, ``None`` where it has none.
    """

    portal: str
    client_id: str
    client_secret: str = field(repr=False)
    server: str = ""
    pair: Pair | None = None

    @property
    def fingerprint(self) -> str:
        """What tokens that are kept elsewhere are known by: those in the connection, if any, begin others.

        It is no id of a connection: Airflow tests one under a name that it makes up.
        """
        seed = self.pair.refresh if self.pair else ""
        told = f"{self.portal}\n{self.client_id}\n{seed}"
        return hashlib.sha256(told.encode()).hexdigest()[:24]

    @property
    def identity(self) -> str:
        """A text that no other application has."""
        return f"{self.portal} {self.client_id}"

    @property
    def renewal(self) -> None:
        """Nothing: what is kept nowhere is not renewed."""
        return

    def with_secret(self, address: str) -> str:
        """Give the address of a method: ``https://portal/rest/method``."""
        rest = address.removeprefix(self.portal)
        if not belongs_to(self.portal, address) or rest.startswith(_REST):
            return address
        return f"{self.portal}{_REST}{rest.lstrip('/')}"

    def headers_for(self, address: str) -> Mapping[str, str]:
        """Give the header with the token of the connection."""
        return bearer(self, self.pair, address)

    def method_of(self, address: str) -> str:
        """Give the method of an address of the portal, empty for none."""
        rest = address.partition("?")[0].removeprefix(self.portal)
        rest = rest.removeprefix(_REST) if rest.startswith(_REST) else rest
        return rest.rstrip("/").rpartition("/")[2].removesuffix(".json")

    def secrets(self) -> tuple[str, ...]:
        """Give its secret, and the tokens in the connection."""
        return (self.client_secret, *((self.pair.access, self.pair.refresh) if self.pair else ()))


def bearer(application: Application, pair: Pair | None, address: str) -> Mapping[str, str]:
    """Give the header that a request to a portal has, and no other request."""
    if pair is None or not belongs_to(application.portal, address):
        return {}
    return {"Authorization": f"Bearer {pair.access}"}


# -- the fields of a connection -----------------------------------------------------------------------------

FIELDS = ("client_id", "client_secret", "access_token", "refresh_token", "server_endpoint")
"""Extras that describe an application."""


def application(
    *, host: str | None, port: int | None, login: object, password: object, given: Mapping[str, Any]
) -> Application:
    """Make an application of the fields of a connection.

    :param given: The extras that are not empty.
    :raises InvalidInput: A field that cannot be right. The message never shows a secret.
    """
    if password or login:
        argument = "password" if password else "login"
        accepted = gettext("nothing beside extra.client_id: a connection is a webhook or an application")
        raise InvalidInput(argument, "***", accepted)
    client_id, secret = given.get("client_id"), given.get("client_secret")
    if not isinstance(client_id, str) or not _CLIENT.fullmatch(client_id):
        raise InvalidInput(
            "extra.client_id", "***", gettext("the client_id that the portal shows for the application")
        )
    if not isinstance(secret, str) or not TOKEN.fullmatch(secret):
        accepted = gettext("the client_secret (application key) that the portal shows for the application")
        raise InvalidInput("extra.client_secret", "***", accepted)
    server = server_address(given.get("server_endpoint", ""))
    found = [_token(name, given) for name in ("access_token", "refresh_token")]
    if any(found) and not all(found):
        missing = "refresh_token" if found[0] else "access_token"
        accepted = gettext("both tokens, or none and then a login: python -m airflow_bitrix.login")
        raise InvalidInput(f"extra.{missing}", "", accepted)
    pair = Pair(found[0], found[1], server) if all(found) else None
    return Application(portal_address(host or "", port), client_id, secret, server, pair)


def _token(name: str, given: Mapping[str, Any]) -> str:
    token = given.get(name, "")
    if token and not (isinstance(token, str) and TOKEN.fullmatch(token)):
        raise InvalidInput(f"extra.{name}", "***", gettext("a token as the OAuth server gave it, or nothing"))
    return str(token)


def server_address(given: object, argument: str = "extra.server_endpoint") -> str:
    """Give the address of an OAuth server as ``https://name``, empty for none.

    :param given: With ``/rest/`` behind it or without, or the name alone.
    :raises InvalidInput: It cannot be one.
    """
    if not given:
        return ""
    try:
        text = given if isinstance(given, str) and "://" in given else f"https://{given}"
        parts = urlsplit(text)
        if isinstance(given, str) and parts.path in _SERVER_PATHS and not parts.query:
            return portal_address(f"{parts.scheme}://{parts.netloc}")
    except ValueError:  # InvalidInput is one
        pass
    raise InvalidInput(argument, given, gettext(_ACCEPTED_SERVER))


# -- what an OAuth server is asked, and answers -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Question:
    """A question to an OAuth server: to all but the socket an address without anything behind it.

    :param portal: The server's address.
    :param query: What stands behind it, all of it secret.
    """

    portal: str
    query: Mapping[str, str] = field(repr=False)

    address_path = "/oauth/token/"

    @property
    def identity(self) -> str:
        """The server's address."""
        return self.portal

    @property
    def renewal(self) -> None:
        """Nothing."""
        return

    def with_secret(self, address: str) -> str:
        """Put the query behind the one address that there is."""
        plain = f"{self.portal}{self.address_path}"
        return f"{plain}?{urlencode(self.query)}" if address == plain else address

    def headers_for(self, address: str) -> Mapping[str, str]:  # noqa: ARG002 (as every login has it)
        """Give no header."""
        return {}

    def method_of(self, address: str) -> str:  # noqa: ARG002 (likewise)
        """Give what errors call it."""
        return "oauth/token"

    def secrets(self) -> tuple[str, ...]:
        """Give all that is asked with but what kind of question it is, and who asks."""
        return tuple(value for name, value in self.query.items() if name not in ("grant_type", "client_id"))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an OAuth server gave no tokens.

    :param answer: Its words, or what happened to the connection.
    :param passing: Whether another try may help.
    """

    answer: PortalAnswer
    passing: bool = False

    @property
    def used_up(self) -> bool:
        """Whether the refresh token or code is no good any more: somebody else may have used it."""
        return self.answer.code.upper() in ("INVALID_GRANT", "EXPIRED_TOKEN")


_FIRST_SERVER_ERROR = 500
_TOO_MANY = 429


def granted(reply: Reply | Lost, asked: str) -> Pair | Refusal:
    """Read what an OAuth server answered.

    :param asked: The server's address, which goes on being asked where the answer names no other.
    """
    if isinstance(reply, Lost):
        return Refusal(PortalAnswer(text=reply.reason), passing=not reply.final)
    try:
        body = parsed(reply.body)
    except (UnreadableError, ValueError):
        body = None
    if isinstance(body, dict) and body.get("error"):
        passing = reply.status >= _FIRST_SERVER_ERROR or reply.status == _TOO_MANY
        said = PortalAnswer(body["error"], body.get("error_description") or "", reply.status)
        return Refusal(said, passing=passing)
    if isinstance(body, dict):
        tokens = [body.get("access_token"), body.get("refresh_token")]
        if all(isinstance(token, str) and TOKEN.fullmatch(token) for token in tokens):
            return Pair(str(tokens[0]), str(tokens[1]), _named(body.get("server_endpoint")) or asked)
    return Refusal(
        PortalAnswer(text=gettext("no tokens in its answer, HTTP status {status}", status=str(reply.status))),
        passing=True,
    )


def _named(endpoint: object) -> str:
    """Give the server that an answer names, where it can be asked."""
    try:
        return server_address(endpoint)
    except InvalidInput:
        return ""


def for_connection(conn_id: str) -> str:
    """Say for which connection a login is, as a part of a sentence."""
    return gettext(" for connection {conn_id}", conn_id=repr(conn_id))


def log_in_again(conn_id: str) -> str:
    """Give the end of a sentence that tells what to do."""
    return gettext("log in again: python -m airflow_bitrix.login --conn-id {conn_id}", conn_id=conn_id)


_UNKNOWN_CLIENT = gettext_noop(
    "the OAuth server does not know the application: client_id or client_secret of the connection "
    "is wrong, or the application was deleted in the portal"
)
_SAID: Mapping[str, str] = {
    "INVALID_CLIENT": _UNKNOWN_CLIENT,
    "WRONG_CLIENT": _UNKNOWN_CLIENT,
    "PAYMENT_REQUIRED": gettext_noop("the portal's plan does not cover the application"),
    "INVALID_SCOPE": gettext_noop(
        "the application asks for a scope that its card in the portal does not have"
    ),
    "INSUFFICIENT_SCOPE": gettext_noop(
        "the application asks for a scope that its card in the portal does not have"
    ),
}
_NO_REFRESH = gettext_noop("the refresh token is used up, expired or revoked")
_NO_CODE = gettext_noop("the code in the address was used already, or is older than 30 seconds")


def refused(
    refusal: Refusal, server: str, conn_id: str, lost: str = "", *, by_code: bool = False
) -> Bitrix24Error:
    """Give the error that tells a person why there are no tokens.

    :param server: The OAuth server's address.
    :param lost: What became of those that the refresh token got already, if it did.
    :param by_code: Whether a code was to be exchanged, rather than a refresh token.
    """
    details: dict[str, Any] = {"answer": refusal.answer, "method": "oauth/token"}
    if refusal.passing:
        return RetryLater(
            gettext(
                "the OAuth server {server} gives no tokens: {answer}", server=server, answer=refusal.answer
            ),
            **details,
        )
    if refusal.used_up:
        what = gettext(_NO_CODE) if by_code else lost or gettext(_NO_REFRESH)
        return AuthFailed(f"{what} ({refusal.answer}); {log_in_again(conn_id)}", **details)
    known = _SAID.get(refusal.answer.code.upper())
    said = gettext(known) if known else gettext("the OAuth server {server} refuses", server=server)
    return AuthFailed(f"{said}: {refusal.answer}", **details)
