"""Where the tokens of an application are kept: in a Variable of Airflow, or in Redis beside the allowance."""

from __future__ import annotations

import hashlib
import platform
import re
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from airflow.sdk.log import mask_secret
from asgiref.sync import sync_to_async

from airflow_bitrix.client.allowance import file_name
from airflow_bitrix.client.kept_tokens import Part
from airflow_bitrix.client.oauth import Application
from airflow_bitrix.client.oauth_login import OAuthLogin, Store
from airflow_bitrix.client.oauth_server import OAuthServer
from airflow_bitrix.client.proxies import bundle_of, proxy_of
from airflow_bitrix.client.token_claims import RedisTokens, file_claim
from airflow_bitrix.compat import conf, read_variable, write_variable
from airflow_bitrix.core.errors import RetryLater
from airflow_bitrix.core.languages import gettext
from airflow_bitrix.core.redaction import keep_secret
from airflow_bitrix.hooks.folders import pacing_folder
from airflow_bitrix.hooks.redis_connection import redis_scripts
from airflow_bitrix.hooks.settings import Settings

_LONGEST = 100

SETTLING = 0.3
"""Seconds that Airflow takes at most, as a rule, to write a Variable that was found empty."""


def hide(secret: str) -> None:
    """Take a secret out of all that is said from now on, here and by Airflow."""
    keep_secret(secret)
    mask_secret(secret)


class VariableTokens:
    """The tokens of an application in a Variable of Airflow, which is encrypted there."""

    def __init__(self, application: Application) -> None:
        portal = re.sub(r"[^a-z0-9.-]", "_", urlsplit(application.portal).hostname or "")
        # Airflow shows no value of a Variable with the word token in its name.
        self.name = f"bitrix24_oauth_token_{portal[:_LONGEST]}_{application.fingerprint}"
        self._lock = pacing_folder() / f"{file_name(self.name)}.claim"

    @property
    def place(self) -> str:
        """What tells this host, or those of its processes that share a folder."""
        return hashlib.sha256(f"{platform.node()} {self._lock}".encode()).hexdigest()[:12]

    @property
    def settling(self) -> float:
        """Seconds in which the processes of other hosts, who have found no note, have written theirs."""
        return SETTLING

    def __str__(self) -> str:
        """Say where it is."""
        return gettext("the Variable {name}", name=self.name)

    def read(self, part: Part = "pair") -> str:
        """Give what was written last, empty for nothing.

        :raises RetryLater: Airflow does not answer.
        """
        try:
            return read_variable(self._name_of(part))
        except Exception as error:  # noqa: BLE001 (whatever a backend raises)
            raise RetryLater(
                gettext("{store} cannot be read: {name}", store=self, name=type(error).__name__)
            ) from None

    def write(self, text: str, part: Part = "pair") -> None:
        """Keep a text.

        :raises RetryLater: Airflow does not answer, or another place hides what it keeps.
        """
        try:
            write_variable(self._name_of(part), text)
        except Exception as error:  # noqa: BLE001 (likewise; it may hold the text)
            raise RetryLater(
                gettext("{store} cannot be written: {name}", store=self, name=type(error).__name__)
            ) from None

    def claim(self) -> AbstractContextManager[object]:
        """Keep the other processes of this host from asking meanwhile."""
        return file_claim(self._lock)

    def _name_of(self, part: Part) -> str:
        return self.name if part == "pair" else f"{self.name}_{part}"


class _InRedis(RedisTokens):
    def __str__(self) -> str:
        return gettext("Redis, where the allowance is kept")


def store_of(application: Application) -> Store:
    """Give where the tokens of an application are kept: where ``[bitrix24] allowance`` has the allowance.

    :raises InvalidInput: Redis cannot be used as it is set.
    """
    if conf.get("bitrix24", "allowance", fallback="") != "redis":
        return VariableTokens(application)
    return _InRedis(redis_scripts(), application.fingerprint)


def server_of(address: str, settings: Settings, proxy: object) -> OAuthServer:
    """Give the OAuth server at an address.

    What a self-hosted portal's certificate is checked by says nothing of another host's.

    :param proxy: What the connection names.
    """
    if address == settings.portal:
        return OAuthServer(address, settings.verify, settings.proxy)
    own = proxy if address.startswith("https:") else ""
    return OAuthServer(address, bundle_of(address, True), proxy_of(address, own))  # noqa: FBT003


def logged_in(settings: Settings, conn_id: str, proxy: object) -> Settings:
    """Give settings whose tokens are the newest, and renewed; those of a webhook are as they were.

    :param proxy: The proxy that the connection names.
    :raises AuthFailed: Nobody has logged in yet.
    :raises RetryLater: The place where tokens are kept is away.
    """
    application = settings.login
    if not isinstance(application, Application):
        return settings

    async def aside(work: Any) -> Any:
        return await sync_to_async(work)()

    login = OAuthLogin(
        application,
        store_of(application),
        lambda address: server_of(address, settings, proxy),
        conn_id,
        hide=hide,
        aside=aside,
    )
    return replace(settings, login=login)
