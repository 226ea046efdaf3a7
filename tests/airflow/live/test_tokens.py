"""Tokens are got anew in the triggerer as in a worker, and kept where both read them."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.airflow.live.conftest import Live

DAG_ID, CONN_ID = "deferred_call", "bitrix24_tokens"
KEPT = re.compile(r"bitrix24_oauth_token_127\.0\.0\.1_[0-9a-f]{24}")


@pytest.mark.attack
def test_a_deferred_task_gets_new_tokens_in_the_triggerer(live: Live) -> None:
    """Each access token has expired before it is used a second time."""
    live.sandbox.set_switches(access_seconds=1)
    given = live.sandbox.application()
    live.sandbox.set_switches(access_seconds=3600)
    live.airflow.create_connection(CONN_ID, **given)
    live.airflow.wait_for_dag(DAG_ID)
    live.airflow.unpause(DAG_ID)
    before = live.sandbox.stats()["oauth"]
    run = live.run(DAG_ID)
    assert run.state == "success"
    first, second = live.airflow.xcom(DAG_ID, run.run_id, "ask")
    assert first == second
    after = live.sandbox.stats()["oauth"]
    assert after["refresh_token"] - before.get("refresh_token", 0) == 1
    log = (live.airflow.home / "triggerer.log").read_text()
    lines = "\n".join([log, *live.airflow.task_log(DAG_ID, run.run_id, "ask")])
    assert "gave new tokens, and they are stored" in lines
    extra = json.loads(str(given["extra"]))
    listed = live.airflow.call("GET", "/api/v2/variables")["variables"]
    [kept] = [one["value"] for one in listed if KEPT.fullmatch(one["key"])]
    assert json.loads(kept)["refresh_token"] == json.loads(kept)["access_token"] == "***"
    files = [file for file in live.airflow.home.rglob("*") if file.is_file()]
    assert {".log", ".db"} <= {file.suffix for file in files}
    for name in ("client_secret", "access_token", "refresh_token"):
        assert [str(file) for file in files if extra[name].encode() in file.read_bytes()] == []
