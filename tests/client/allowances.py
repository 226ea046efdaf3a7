"""A bucket of five requests, and how many of them an allowance admits."""

from __future__ import annotations

from airflow_bitrix.client.allowance import Allowance
from airflow_bitrix.client.pacing import Bucket

BUCKET = Bucket(rate=2, burst=5)
NOON = 1000.0


def admitted(allowance: Allowance, asks: int = 20) -> int:
    return sum(allowance.ask() == 0 for _ in range(asks))
