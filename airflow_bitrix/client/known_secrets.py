"""Which secrets a client handles."""

from __future__ import annotations

from urllib.parse import unquote, urlsplit
from urllib.request import getproxies

from airflow_bitrix.client.logins import Login
from airflow_bitrix.core.redaction import keep_secret


def keep_secrets(login: Login, proxy: str = "") -> list[str]:
    """Let what must not be seen be taken out of all that is said from now on, and give it.

    It is the webhook's code, or an application's secret and tokens, and the passwords of a proxy and of those
    that the environment names.
    """
    proxies = [proxy, *getproxies().values()]
    secrets = [*login.secrets(), *(word for word in map(_password, proxies) if word)]
    for secret in secrets:
        keep_secret(secret)
    return secrets


def _password(address: str) -> str:
    try:
        return unquote(urlsplit(address).password or "")
    except ValueError:
        return ""
