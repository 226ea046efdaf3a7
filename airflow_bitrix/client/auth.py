"""Who asks which portal: reading and checking a webhook.

Follows https://apidocs.bitrix24.com/local-integrations/local-webhooks.html.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_bitrix.client.logins import belongs_to
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop
from airflow_bitrix.core.numbers import as_whole, whole_number

_CODE = re.compile(r"[A-Za-z0-9_-]+")
_WEBHOOK_PATH = re.compile(
    r"(?P<folder>(/[\w~-]+)*)/+rest/+(api/+)?(?P<user>[^/]+)/+(?P<code>[^/]+)(/+[\w.-]+)?/*",
    re.ASCII | re.IGNORECASE,
)
"""The folder that a portal lies in, the webhook, and perhaps a method."""
_WEBHOOK_IN_HOST = re.compile(r"[/\\]rest[/\\]+[^/\\]+[/\\]+[^/\\]", re.IGNORECASE)
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*")
_NUMBER_AT_THE_END = re.compile(r"(?:.*\.)?(?:\d+|0x[0-9a-f]*)", re.IGNORECASE)
_LONGEST_NAME = 253
_IN_THE_CLOUD = re.compile(r".+\.bitrix24\.[a-z.]+")
_AROUND = "\"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e<>(),;\u200b\u200e\u200f\u2060\ufeff"
"""What mails, chats and shells leave around an address, beside spaces."""
_AT_THE_ENDS = re.compile(rf"^[\s{_AROUND}]+|(?<![\s{_AROUND}])[\s{_AROUND}]+\Z")
_LONGEST_NAME = 253
_LAST_PORT = 65_535
_USUAL_PORTS = {"https": 443, "http": 80}
_ACCEPTED_HOST = gettext_noop(
    "a portal address such as 'acme.bitrix24.com' or 'https://acme.bitrix24.com', without a path; "
    "plain http only for a loopback address"
)
_ACCEPTED_CODE = gettext_noop(
    "the code of an inbound webhook, or its whole address https://…/rest/<user id>/<code>/"
)

_INSTEAD = gettext_noop(
    "a portal address such as 'acme.bitrix24.com'. Remove it there: it is shown in the list of "
    "connections. The whole address may stand in the webhook code (password); make a new webhook "
    "if others could see it"
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """An inbound webhook.

    :param portal: The portal's address, ``https://acme.bitrix24.com``, without a closing slash.
    :param user_id: Id of the user in whose name calls are made.
    :param code: The secret.
    """

    portal: str
    user_id: str
    code: str = field(repr=False)

    def with_secret(self, address: str) -> str:
        """Give the address that a request goes to: the secret path stands between the portal and the method.

        :param address: ``https://portal/method``, as all but the socket knows it; another's stays as it is.
        """
        rest, path = address.removeprefix(self.portal), self._path
        if not belongs_to(self.portal, address) or rest.startswith(path):
            return address
        return f"{self.portal}{path}{rest.lstrip('/')}"

    def method_of(self, address: str) -> str:
        """Give the method of an address of the portal, which may hold the secret path, empty for none."""
        rest = address.partition("?")[0].removeprefix(self.portal).removeprefix(self._path)
        return rest.rstrip("/").rpartition("/")[2].removesuffix(".json")

    def headers_for(self, address: str) -> Mapping[str, str]:  # noqa: ARG002 (as every login has it)
        """Give no header: the secret is in the address."""
        return {}

    def secrets(self) -> tuple[str, ...]:
        """Give the code."""
        return (self.code,)

    @property
    def identity(self) -> str:
        """The whole address, with the secret."""
        return self.with_secret(f"{self.portal}/")

    @property
    def renewal(self) -> None:
        """Nothing: a webhook does not expire."""
        return

    @property
    def _path(self) -> str:
        return f"/rest/{self.user_id}/{self.code}/"


def webhook(
    *, host: str | None, login: object = None, password: object = None, port: int | None = None
) -> Webhook:
    """Make a webhook of the fields of a connection.

    :param host: The portal's address.
    :param login: Id of the webhook's user; in JSON it may be a number.
    :param password: The webhook's code, or its whole address as it was copied: with a method behind it, a
        query, a port, a folder of a self-hosted portal, spaces or quotes around it, or without a scheme; then
        host and login may be empty.
    :param port: A port, where it does not stand in ``host``.
    :raises InvalidInput: A field that cannot be right. The message never shows the password.
    """
    host, user, secret = _text("host", host), _text("login", login), _text("password", password)
    if _WEBHOOK_IN_HOST.search(host):
        shown = _shown_host(host)
        problem = gettext("{shown} is a webhook's address, which is a secret", shown=repr(shown))
        raise InvalidInput("host", shown, gettext(_INSTEAD), problem=problem)
    if port and not (isinstance(port, int) and 0 < port <= _LAST_PORT):
        raise InvalidInput(
            "port", port, gettext("a port from 1 to {last_port}, or nothing", last_port=str(_LAST_PORT))
        )
    if not secret:
        raise InvalidInput("password", "", gettext(_ACCEPTED_CODE))
    if not _is_whole(secret):
        raise _wrong_code(gettext("there is a space or a line break in it"))
    if "/" in secret or "\\" in secret:
        return _pasted(host, user, secret, port)
    if not _CODE.fullmatch(secret):
        raise _wrong_code(gettext("a code has letters, digits, - and _ alone"))
    return Webhook(portal_address(host, port), _user("login", user), secret)


def _text(argument: str, given: object) -> str:
    """Give a field without what was copied along with it."""
    if given is None:
        return ""
    if argument != "host" and not isinstance(given, str):
        number = as_whole(given)  # JSON may hold a number in place of its digits
        given = number if number is None else str(number)
    if not isinstance(given, str):
        raise InvalidInput(argument, "***", gettext("a text"))
    return _AT_THE_ENDS.sub("", given)


def _is_whole(text: str) -> bool:
    """Whether nothing parts it; urllib would join what a line break parts."""
    return all(sign.isprintable() and not sign.isspace() for sign in text)


def _wrong_code(problem: str) -> InvalidInput:
    return InvalidInput(
        "password",
        "***",
        gettext(_ACCEPTED_CODE),
        problem=gettext("'***' is not accepted, {problem}", problem=problem),
    )


def _pasted(host: str, login: str, password: str, port: int | None) -> Webhook:
    has_scheme = "://" in password
    try:
        parts = urlsplit(password if has_scheme else f"https://{password}")
        name = parts.hostname or ""
    except ValueError:
        raise _wrong_code(gettext("it is no address")) from None
    path = _WEBHOOK_PATH.fullmatch(parts.path)
    if "\\" in password or not path or not (has_scheme or "." in name):
        raise _wrong_code(
            gettext("it has no portal, /rest/, user id and code, with at most a method behind them")
        )
    if not _CODE.fullmatch(path["code"]):
        raise _wrong_code(gettext("a code has letters, digits, - and _ alone"))
    folder = path["folder"]
    if "rest" in folder.lower().split("/"):
        raise _wrong_code(gettext("it has two webhooks in it"))
    if folder and _IN_THE_CLOUD.fullmatch(name):
        raise _wrong_code(gettext("at this portal nothing stands before /rest/"))
    address = portal_address(f"{parts.scheme}://{parts.netloc}", None)
    pasted = Webhook(address + folder, _user("password", path["user"]), path["code"])
    if host and portal_address(host, port) != address:
        raise InvalidInput(
            "host",
            _shown_host(host),
            gettext("the portal of the pasted webhook, {address}, or nothing", address=repr(address)),
        )
    if port not in (None, 0, _USUAL_PORTS["https"]) and port != _port(address):
        raise InvalidInput(
            "port", port, gettext("{port}, that of the pasted webhook, or nothing", port=str(_port(address)))
        )
    if login and login != pasted.user_id:
        raise InvalidInput(
            "login",
            _shown_user(login),
            gettext("the user of the pasted webhook, {user_id}, or nothing", user_id=repr(pasted.user_id)),
        )
    return pasted


_ACCEPTED_USER = gettext_noop("the number of the webhook's user, as in /rest/<user id>/<code>/")


def _user(argument: str, text: str) -> str:
    if not whole_number(text):
        raise InvalidInput(
            argument, _shown_user(text) if argument == "login" else "***", gettext(_ACCEPTED_USER)
        )
    return text


# People paste what the portal shows them into the first field they see: what is no plain name or number may
# be the secret.


def _shown_user(text: str) -> str:
    return text if not text or text.isdigit() else "***"


def _shown_host(host: str) -> str:
    if re.search(r"[@?#%]", host):
        return "***"
    scheme, mark, rest = host.partition("://") if re.match(r"\w+://", host) else ("", "", host)
    return scheme + mark + re.sub(r"(?<!/)/++[^/].*", "/***", rest, flags=re.DOTALL)


def portal_address(host: str, port: int | None = None) -> str:
    """Give the address of a portal as ``https://name`` or ``https://name:port``.

    A name in letters of another script is given as the network knows it: ``xn--e1afmkfd.xn--p1ai``.

    :raises InvalidInput: A path, a login or a query in it, no name, or plain http to another machine.
    """
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        name, own_port = _ascii_name(parts.hostname or "").removesuffix("."), parts.port
    except ValueError:
        name = ""
    if (
        not name
        or parts.scheme not in ("http", "https")
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or parts.username
        or parts.password
        or not is_host(name)
        or not _is_whole(host)
        or own_port == 0
        or (own_port and port and own_port != port)
    ):
        raise InvalidInput("host", _shown_host(host), gettext(_ACCEPTED_HOST))
    if parts.scheme == "http" and not is_loopback(name):
        raise InvalidInput("host", _shown_host(host), gettext(_ACCEPTED_HOST))
    return origin(parts.scheme, name, own_port or port)


def origin(scheme: str, name: str, port: int | None) -> str:
    """Give the one address of a scheme, a host's name and a port: without a port that goes without saying.

    A portal has one address, and one allowance.
    """
    bare = f"[{name}]" if ":" in name else name
    return f"{scheme}://{bare}" + (f":{port}" if port and port != _USUAL_PORTS[scheme] else "")


def _port(address: str) -> int:
    parts = urlsplit(address)
    return parts.port or _USUAL_PORTS[parts.scheme]


def _ascii_name(name: str) -> str:
    """Give a host's name as the network knows it.

    :raises ValueError: It cannot be one.
    """
    if name.isascii():
        return name
    if len(name) > _LONGEST_NAME:
        raise ValueError
    import idna  # noqa: PLC0415 (few names need it)

    return idna.encode(name, uts46=True).decode()


def is_host(name: str) -> bool:
    """Whether a host can have this name or address, which has only letters that the network knows.

    A number at its end makes it an address, which systems read in odd ways where it is not a whole one.
    """
    if ":" in name or _NUMBER_AT_THE_END.fullmatch(name):
        address = _address(name)
        usable = address is not None and not address.is_unspecified and not address.is_multicast
        return usable and "%" not in name  # a zone means something on one machine alone
    return len(name) <= _LONGEST_NAME and _NAME.fullmatch(name) is not None


def is_loopback(name: str) -> bool:
    """Whether a host name means this machine."""
    address = _address(name)
    return name == "localhost" or (address is not None and address.is_loopback)


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(name)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found
