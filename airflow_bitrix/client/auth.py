"""Who asks which portal: reading and checking a webhook.

Follows https://apidocs.bitrix24.com/local-integrations/local-webhooks.html.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.numbers import whole_number

_CODE = re.compile(r"[A-Za-z0-9_-]+")
_WEBHOOK_PATH = re.compile(r"/rest/(?P<user>[^/]+)/(?P<code>[^/]+)(?:/[^/]*)?/?")
_WEBHOOK_IN_HOST = re.compile(r"[/\\]rest[/\\]+[^/\\]+[/\\]+[^/\\]")
_ACCEPTED_HOST = (
    "a portal address such as 'acme.bitrix24.com' or 'https://acme.bitrix24.com', without a path; "
    "plain http only for a loopback address"
)
_ACCEPTED_CODE = "the code of an inbound webhook, or its whole address https://…/rest/<user id>/<code>/"

_INSTEAD = (
    "a portal address such as 'acme.bitrix24.com'. Remove it there: it is shown in the list of connections. "
    "The whole address may stand in the webhook code (password); make a new webhook if others could see it"
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

    @property
    def base_path(self) -> str:
        """The secret path in front of a method's name: ``/rest/1/abc/``."""
        return f"/rest/{self.user_id}/{self.code}/"

    def url(self, method: str) -> str:
        """Give the address of a method. It holds the secret: for the HTTP library only."""
        return f"{self.portal}{self.base_path}{method}"


def webhook(*, host: str | None, login: str | None, password: str | None, port: int | None = None) -> Webhook:
    """Make a webhook of the fields of a connection.

    :param host: The portal's address.
    :param login: Id of the webhook's user.
    :param password: The webhook's code, or its whole address; then host and login may be empty.
    :param port: A port, where it does not stand in ``host``.
    :raises InvalidInput: A field that cannot be right. The message never shows the password.
    """
    host, login, password = ((text or "").strip() for text in (host, login, password))
    if _WEBHOOK_IN_HOST.search(host):
        shown = _shown_host(host)
        problem = f"{shown!r} is a webhook's address, which is a secret"
        raise InvalidInput("host", shown, _INSTEAD, problem=problem)
    if not password:
        raise InvalidInput("password", "", _ACCEPTED_CODE)
    if "/" in password:
        return _pasted(host, login, password, port)
    if not _CODE.fullmatch(password):
        raise InvalidInput("password", "***", _ACCEPTED_CODE)
    return Webhook(portal_address(host, port), _user("login", login), password)


def _pasted(host: str, login: str, password: str, port: int | None) -> Webhook:
    try:
        parts = urlsplit(password)
    except ValueError:
        parts = urlsplit("")
    path = _WEBHOOK_PATH.fullmatch(parts.path)
    if not parts.scheme or not path or not _CODE.fullmatch(path["code"]) or parts.query or parts.fragment:
        raise InvalidInput("password", "***", _ACCEPTED_CODE)
    pasted = Webhook(
        portal_address(f"{parts.scheme}://{parts.netloc}", None),
        _user("password", path["user"]),
        path["code"],
    )
    if host and portal_address(host, port) != pasted.portal:
        raise InvalidInput(
            "host", _shown_host(host), f"the portal of the pasted webhook, {pasted.portal!r}, or nothing"
        )
    if login and login != pasted.user_id:
        raise InvalidInput(
            "login", _shown_user(login), f"the user of the pasted webhook, {pasted.user_id!r}, or nothing"
        )
    return pasted


_ACCEPTED_USER = "the number of the webhook's user, as in /rest/<user id>/<code>/"


def _user(argument: str, text: str) -> str:
    if not whole_number(text):
        raise InvalidInput(argument, _shown_user(text) if argument == "login" else "***", _ACCEPTED_USER)
    return text


# People paste what the portal shows them into the first field they see: what is no plain name or number may
# be the secret.


def _shown_user(text: str) -> str:
    return text if not text or text.isdigit() else "***"


def _shown_host(host: str) -> str:
    if re.search(r"[@?#%]", host):
        return "***"
    scheme, mark, rest = host.partition("://") if re.match(r"\w+://", host) else ("", "", host)
    return scheme + mark + re.sub(r"/+[^/].*", "/***", rest, flags=re.DOTALL)


def portal_address(host: str, port: int | None = None) -> str:
    """Give the address of a portal as ``https://name`` or ``https://name:port``.

    :raises InvalidInput: A path, a login or a query in it, no name, or plain http to another machine.
    """
    try:
        parts = urlsplit(host if "://" in host else f"https://{host}")
        name, own_port = parts.hostname, parts.port
    except ValueError:
        name = None
    if (
        not name
        or parts.scheme not in ("http", "https")
        or parts.path not in ("", "/")
        or parts.query
        or parts.fragment
        or parts.username
        or parts.password
        or not re.fullmatch(r"[A-Za-z0-9._:-]+", name)
        or (own_port and port and own_port != port)
    ):
        raise InvalidInput("host", _shown_host(host), _ACCEPTED_HOST)
    if parts.scheme == "http" and not is_loopback(name):
        raise InvalidInput("host", _shown_host(host), _ACCEPTED_HOST)
    bare = f"[{name}]" if ":" in name else name
    number = own_port or port
    # The port that goes without saying: a portal has one address, and one allowance.
    said = number and number != {"https": 443, "http": 80}[parts.scheme]
    return f"{parts.scheme}://{bare}" + (f":{number}" if said else "")


def is_loopback(name: str) -> bool:
    """Whether a host name means this machine."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False
