"""A listing, read to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from airflow_bitrix.client.listing import Listing
from airflow_bitrix.client.wire import Answer, Call


def all_rows(listing: Listing, portal: Callable[[Call], Answer]) -> list[Any]:
    rows: list[Any] = []
    for _ in range(100):
        if listing.done:
            return rows
        rows += listing.take(portal(listing.call()))
    pytest.fail("the listing comes to no end")
