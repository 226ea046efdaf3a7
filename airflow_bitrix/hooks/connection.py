"""What both hooks make of a connection and of Airflow's configuration."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import AirflowNotFoundException, conf

from airflow_bitrix.client.allowance import Allowance, shared_allowance
from airflow_bitrix.client.pacing import Patience
from airflow_bitrix.core.errors import AuthFailed, Bitrix24Error, InvalidInput, RetryLater
from airflow_bitrix.get_provider_info import field_labels
from airflow_bitrix.hooks.failures import final_failures
from airflow_bitrix.hooks.settings import Settings, read_settings

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

DEFAULT_CONN_ID = "bitrix24_default"


def pacing_folder() -> Path:
    """Give the folder of the files through which the processes of this host share a portal's allowance."""
    fallback = str(Path(tempfile.gettempdir()) / f"airflow-bitrix-{os.geteuid()}")
    return Path(conf.get("bitrix24", "pacing_path", fallback=fallback) or fallback)


def patience() -> Patience:
    """Give how far the portal's operating time is used, and how long its return is waited for."""
    usual = Patience()
    limit = conf.getfloat("bitrix24", "operating_limit", fallback=usual.operating_limit)
    return Patience(limit, conf.getfloat("bitrix24", "max_wait", fallback=usual.max_wait))


@contextmanager
def named_if_missing(conn_id: str) -> Iterator[None]:
    """Say which connection Airflow does not have, in words of ours.

    :raises InvalidInput: There is no such connection. Airflow does not retry it, as it does its own error.
    """
    is_missing = False
    try:
        yield
    except AirflowNotFoundException:
        is_missing = True
    if is_missing:
        with final_failures():
            accepted = (
                "the id of a connection that Airflow has and can read: its extra has to be JSON, its port a "
                "number"
            )
            raise InvalidInput("bitrix24_conn_id", conn_id, accepted)


def settings_of(connection: Connection, extra: Mapping[str, Any]) -> Settings:
    """Read what a connection says.

    :raises InvalidInput: A field that cannot be right. Airflow does not retry it.
    """
    with final_failures():
        return read_settings(
            host=connection.host,
            login=connection.login,
            password=connection.password,
            port=connection.port,
            extra=extra,
        )


def in_words_of_the_form(error: Bitrix24Error) -> str:
    """Say why a connection does not work: by the names of the form, and without the method that was tried."""
    said = str(error)
    if isinstance(error, InvalidInput):
        label = field_labels().get(error.argument)
        return f"{label} ({error.argument}){said.removeprefix(error.argument)}" if label else said
    if isinstance(error, (AuthFailed, RetryLater)):
        said = said.removeprefix(f"{error.method}: ")
    return said[:1].upper() + said[1:]


def allowance_of(settings: Settings) -> Allowance:
    """Give the allowance that this host has at the connection's portal."""
    return shared_allowance(settings.bucket, settings.webhook.portal, pacing_folder())
