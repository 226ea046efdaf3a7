"""Hooks for who is loaded with a DAG file: the classes themselves come when one is opened.

The hook of the HTTP provider brings aiohttp and requests, which take as long to load as all of this package.
A DAG processor would load them for each file, again and again, and never ask a portal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook, Bitrix24Hook
    from airflow_bitrix.hooks.settings import Settings

DEFAULT_CONN_ID = "bitrix24_default"


def opened(conn_id: str) -> Bitrix24Hook:
    """Give the hook of a connection."""
    from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook  # noqa: PLC0415 (the module says why)

    return Bitrix24Hook(conn_id)


def opened_async(conn_id: str, settings: Settings | None = None) -> Bitrix24AsyncHook:
    """Give the asynchronous hook of a connection.

    :param settings: What the connection says, where that has been read; ``None`` to read it.
    """
    from airflow_bitrix.hooks.bitrix24 import Bitrix24AsyncHook  # noqa: PLC0415 (the module says why)

    return Bitrix24AsyncHook(conn_id, settings=settings)
