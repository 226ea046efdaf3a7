"""By which proxy a portal is reached, and by which authorities its certificate is checked.

Decided here once for both hooks: by themselves one HTTP library asks the environment, and the other does not.
"""

from __future__ import annotations

import os
import ssl
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

from requests.utils import get_environ_proxies, select_proxy

from airflow_bitrix.client.auth import is_host, is_loopback
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop

_ACCEPTED_PROXY = gettext_noop("an address such as 'http://proxy.example.com:3128'")
_ACCEPTED_BUNDLE = gettext_noop(
    "true, or the path of a CA bundle on this machine: a file of certificates in PEM form"
)
_BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")
_LARGEST_BUNDLE = 16_000_000


def proxy_of(portal: str, given: object) -> str:
    """Give the address of the proxy by which a portal is reached, empty for none.

    :param portal: The portal's address.
    :param given: The proxy that the connection names. Without one the environment is asked for
        ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY``, in capitals or small letters; a portal on this
        machine is reached by none.
    :raises InvalidInput: It is no address of a proxy, or one is given for a portal on this machine. The
        address may hold a password, and is not shown.
    """
    if _is_here(portal):
        if given:
            raise InvalidInput("extra.proxy", "***", gettext("nothing, as the portal is on this machine"))
        return ""
    if given:
        if isinstance(given, str) and _is_proxy(given):
            return given
        raise InvalidInput("extra.proxy", "***", gettext(_ACCEPTED_PROXY))
    found = select_proxy(portal, get_environ_proxies(portal)) or ""
    named = found if "://" in found or not found else f"http://{found}"
    if named and not _is_proxy(named):
        accepted = gettext(
            "{accepted_proxy}, or the portal's name in NO_PROXY", accepted_proxy=gettext(_ACCEPTED_PROXY)
        )
        raise InvalidInput("HTTPS_PROXY or ALL_PROXY of the environment", "***", accepted)
    return named


def _is_here(portal: str) -> bool:
    name = urlsplit(portal).hostname or ""
    return is_loopback(name) or name.endswith(".localhost")


def _is_proxy(address: str) -> bool:
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and is_host(parts.hostname or "") and parts.port != 0
    except ValueError:
        return False
    bare = parts.path in ("", "/") and not parts.query and not parts.fragment
    return usable and bare and address.isascii() and address.isprintable() and " " not in address


def bundle_of(portal: str, given: object) -> bool | str:
    """Give the CA bundle by which a portal's certificate is checked; ``True`` for the usual authorities.

    :param given: What the connection says: the path of a bundle, or ``True``. Then the environment is asked
        for ``REQUESTS_CA_BUNDLE``, ``CURL_CA_BUNDLE`` and ``SSL_CERT_FILE``, in this order.
    :raises InvalidInput: It is no file with certificates.
    """
    if given is not True and str(given).lower() != "true":
        if not isinstance(given, str) or given.lower() == "false":
            raise InvalidInput("extra.verify", given, gettext(_ACCEPTED_BUNDLE))
        named = {"extra.verify": given}
    elif portal.startswith("https:"):
        named = {f"{name} of the environment": os.environ.get(name, "") for name in _BUNDLES}
    else:
        named = {}
    argument = next((name for name, path in named.items() if path), None)
    if argument is None:
        return True
    trusted_by(named[argument], argument)
    return named[argument]


def trusted_by(path: str, argument: str = "extra.verify") -> ssl.SSLContext:
    """Give what checks certificates by the authorities in a file.

    :raises InvalidInput: It is no file with certificates.
    """
    try:
        file = Path(path)
        if file.is_file() and (found := file.stat()).st_size <= _LARGEST_BUNDLE:
            return _loaded(path, (found.st_ino, found.st_mtime_ns, found.st_size))
        problem = gettext(
            "{path} is no file of at most {largest_bundle} bytes",
            path=repr(path),
            largest_bundle=_LARGEST_BUNDLE,
        )
    except ssl.SSLError:
        problem = gettext("there are no certificates in {path}", path=repr(path))
    except (OSError, ValueError) as error:
        problem = gettext(
            "{path} cannot be read ({why})",
            path=repr(path),
            why=getattr(error, "strerror", None) or error,
        )
    raise InvalidInput(argument, path, gettext(_ACCEPTED_BUNDLE), problem=problem)


@lru_cache(maxsize=4)
def _loaded(path: str, _written: tuple[int, ...]) -> ssl.SSLContext:
    """Load a bundle, once for each time that it is written: those of systems take 30 milliseconds."""
    return ssl.create_default_context(cafile=path)
