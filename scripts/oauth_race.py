"""Race many workers of many hosts for tokens that soon expire: how often are they renewed, is a call lost.

Hosts are processes that share nothing but the place where the tokens are kept. As a program, it has twenty
workers on four hosts for two minutes, once with Redis and once with a Variable of Airflow, and kills one of
them at each third question to the OAuth server, which has heard it by then and not worked on it. Where the
server takes a refresh token again, who asks is killed after it has made the next tokens.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from itertools import product
from pathlib import Path
from typing import IO, TYPE_CHECKING

from airflow_bitrix.sandbox.server import Sandbox
from scripts.processes import Processes, free_port

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from airflow_bitrix.client.oauth import Application
    from airflow_bitrix.client.oauth_login import Store

ASKING = "asking"
_PAUSE = 0.1


@dataclass
class Race:
    """What is run, and what came of it.

    :param life: Seconds for which an access token is good.
    :param seconds: How long the workers call.
    :param kill_each: At each question of this number who asks is killed, until two thirds are left.
    :param reuse: Seconds for which the server takes a refresh token again; then who is killed has used it up.
    """

    store: str
    hosts: int = 4
    workers: int = 5
    life: float = 10.0
    seconds: float = 120.0
    kill_each: int = 3
    reuse: float = 0.0
    calls: int = 0
    failed: list[str] = field(default_factory=list)
    killed: int = 0
    renewals: int = 0
    refused: int = 0
    expiries: float = 0.0


# -- a worker -----------------------------------------------------------------------------------------------


def work(told: str) -> int:
    """Call until the time is over, and print what came of it."""
    import requests  # noqa: PLC0415 (of a worker alone)
    from requests.adapters import HTTPAdapter  # noqa: PLC0415

    from airflow_bitrix.client import oauth  # noqa: PLC0415
    from airflow_bitrix.client.allowance import Unlimited  # noqa: PLC0415
    from airflow_bitrix.client.deadlines import own_connections  # noqa: PLC0415
    from airflow_bitrix.client.flow import Manners  # noqa: PLC0415
    from airflow_bitrix.client.oauth_login import OAuthLogin  # noqa: PLC0415
    from airflow_bitrix.client.oauth_server import OAuthServer  # noqa: PLC0415
    from airflow_bitrix.client.portal import Portal  # noqa: PLC0415
    from airflow_bitrix.client.transport import requests_transport  # noqa: PLC0415
    from airflow_bitrix.core.errors import Bitrix24Error  # noqa: PLC0415

    given = json.loads(told)
    app, server = given["application"], oauth.server_address(given["application"]["server_endpoint"])
    pair = oauth.Pair(app["access_token"], app["refresh_token"], server)
    application = oauth.Application(given["portal"], app["client_id"], app["client_secret"], server, pair)

    def ask(address: str) -> OAuthServer:
        print(ASKING, flush=True)
        return OAuthServer(address)

    login = OAuthLogin(application, _store(given, application), ask, "race")
    session = requests.Session()
    for adapter in session.adapters.values():
        if isinstance(adapter, HTTPAdapter):
            own_connections(adapter, login, 1, "")
    portal = Portal(requests_transport(session, login.portal, 30), Manners(Unlimited(), renewal=login))
    print("ready", flush=True)
    calls, failed = 0, []
    while time.time() < given["ends"]:
        try:
            portal.call("profile")
        except Bitrix24Error as error:
            failed.append(str(error))
        calls += 1
        time.sleep(_PAUSE)
    print(json.dumps({"calls": calls, "failed": failed}), flush=True)
    return 0


def _store(given: dict[str, str], application: Application) -> Store:
    if given["store"] == "variable":
        from airflow_bitrix.hooks.tokens import VariableTokens  # noqa: PLC0415 (it needs Airflow)

        return VariableTokens(application)
    from airflow_bitrix.client.redis_scripts import scripts_of  # noqa: PLC0415
    from airflow_bitrix.client.token_claims import RedisTokens  # noqa: PLC0415

    run = scripts_of(host="127.0.0.1", port=int(given["redis"]), user=None, password=None, number=0, tls=())
    return RedisTokens(run, "race", longest=3.0)


# -- the race -----------------------------------------------------------------------------------------------


def run(race: Race, folder: Path, *, starting: float = 5.0) -> Race:
    """Run a race, and give it with what came of it.

    :param folder: For what hosts have of their own, and for Redis or Airflow's database.
    :param starting: Seconds that the workers have to start.
    """
    redis = free_port()
    home = {"AIRFLOW_HOME": str(folder), "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{folder}/a.db"}
    environment = {**os.environ, **home, "AIRFLOW__LOGGING__LOGGING_LEVEL": "ERROR", "NO_PROXY": "*"}
    root = Path(__file__).parents[1]
    with ExitStack() as stack:
        if race.store == "redis":
            stack.enter_context(_redis(redis, folder))
        else:
            migrate = [sys.executable, "-m", "airflow", "db", "migrate"]
            subprocess.run(migrate, env=environment, check=True, capture_output=True)
        processes = stack.enter_context(Processes(environment))
        sandbox = stack.enter_context(Sandbox(plan="self_hosted"))
        sandbox.set_switches(access_seconds=race.life, reuse_seconds=race.reuse)
        # A question waits before it is worked on, or its answer does: there is time to kill who asked.
        sandbox.set_faults(**{"oauth_slow" if race.reuse else "oauth_late": 0.2})
        ends = time.time() + starting + race.seconds
        where = {"store": race.store, "redis": str(redis), "portal": sandbox.base_url}
        told = json.dumps({**where, "application": sandbox.application(), "ends": ends})
        sandbox.reset_stats()
        referee = _Referee(race)
        threads = []
        for number in range(race.hosts * race.workers):
            own = {"AIRFLOW__BITRIX24__PACING_PATH": str(folder / f"host-{number % race.hosts}")}
            worker = processes.start(
                [sys.executable, "-m", "scripts.oauth_race", "--work", told],
                output=subprocess.PIPE,
                cwd=root,
                **own,
            )
            threads.append(threading.Thread(target=referee.listen, args=(worker,)))
            threads[-1].start()
        for thread in threads:
            thread.join()
        asked = sandbox.stats()["oauth"]
    race.renewals = asked.pop("refresh_token", 0)
    race.refused = sum(asked.values())
    race.expiries = round((time.time() - ends + starting + race.seconds) / race.life, 1)
    return race


@contextmanager
def _redis(port: int, folder: Path) -> Iterator[None]:
    # It writes over its environment, by which other children are found.
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        try:
            yield
        finally:
            server.terminate()


class _Referee:
    """Listens to workers, counts what they tell, and kills some of those who ask."""

    def __init__(self, race: Race) -> None:
        self._race, self._asked, self._lock = race, 0, threading.Lock()

    def listen(self, worker: subprocess.Popen[bytes]) -> None:
        output: IO[bytes] = worker.stdout  # type: ignore[assignment]
        last = ""
        for line in output:
            last = line.decode().strip()
            if last == ASKING:
                self._asks(worker)
        worker.wait()
        with self._lock:
            if last.startswith("{"):
                told = json.loads(last)
                self._race.calls += told["calls"]
                self._race.failed += told["failed"]
            elif worker.returncode != -signal.SIGKILL:
                self._race.failed.append(f"a worker ended with {worker.returncode}: {last}")

    def _asks(self, worker: subprocess.Popen[bytes]) -> None:
        with self._lock:
            self._asked += 1
            race = self._race
            some_left = 3 * race.killed < race.hosts * race.workers
            kill = race.kill_each and self._asked % race.kill_each == 0 and some_left
            self._race.killed += bool(kill)
        if kill:
            worker.kill()


_STARTING = {"redis": 30.0, "variable": 90.0}
"""Seconds that the workers have to start on a busy machine: Airflow takes long to import."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the long races, or be a worker of one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--seconds", type=float, default=120.0)
    parser.add_argument("--store", choices=_STARTING, action="append", help="one of them alone")
    parser.add_argument(
        "--reuse", type=float, action="append", help="seconds for which a token is good again"
    )
    options = parser.parse_args(argv)
    if options.work:
        return work(options.work)
    bad = False
    for store, reuse in product(options.store or _STARTING, options.reuse or (0.0, 60.0)):
        race = Race(store, seconds=options.seconds, reuse=reuse)
        with tempfile.TemporaryDirectory() as folder:
            run(race, Path(folder), starting=_STARTING[store])
        print(json.dumps({**asdict(race), "failed": Counter(race.failed)}), flush=True)
        bad = bad or bool(race.failed)
    return int(bad)


if __name__ == "__main__":
    sys.exit(main())
