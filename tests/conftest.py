"""What all tests share: an Airflow home of their own, sandboxes, and clients that talk to them."""

from __future__ import annotations

import atexit
import fcntl
import gc
import logging
import os
import pickle
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit
from weakref import WeakKeyDictionary

# Airflow reads these when it is first imported, so they are set before anything else.
HOME = tempfile.mkdtemp(prefix="airflow-bitrix-tests-")
atexit.register(shutil.rmtree, HOME, ignore_errors=True)
for name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": HOME,
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(Path(__file__).parents[1] / "dags"),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
    "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
    "AIRFLOW__BITRIX24__PACING_PATH": f"{HOME}/pacing",
    "AIRFLOW__BITRIX24__ARTIFACTS_PATH": f"{HOME}/artifacts",
    "NO_PROXY": "127.0.0.1,localhost,::1",
}

# Until all tests are collected, everything that is made stays.
gc.disable()

import aiohttp  # noqa: E402
import pytest  # noqa: E402
import requests  # noqa: E402
from hypothesis import HealthCheck, settings  # noqa: E402
from xdist.scheduler import LoadFileScheduling  # noqa: E402

from airflow_bitrix.client.allowance import Unlimited  # noqa: E402
from airflow_bitrix.client.auth import webhook  # noqa: E402
from airflow_bitrix.client.deadlines import own_connections  # noqa: E402
from airflow_bitrix.client.flow import Manners  # noqa: E402
from airflow_bitrix.client.pacing import Retries  # noqa: E402
from airflow_bitrix.client.portal import AsyncPortal, Portal  # noqa: E402
from airflow_bitrix.client.transport import (  # noqa: E402
    aiohttp_transport,
    open_session,
    requests_transport,
)
from airflow_bitrix.core import redaction  # noqa: E402
from airflow_bitrix.sandbox import seed  # noqa: E402
from airflow_bitrix.sandbox.clock import Clock  # noqa: E402
from airflow_bitrix.sandbox.server import Sandbox  # noqa: E402
from airflow_bitrix.sandbox.state import State  # noqa: E402
from airflow_bitrix.sandbox.truth import truth_of  # noqa: E402
from scripts.processes import interrupt_on_signals  # noqa: E402

# Told to end, by `timeout` or by a terminal that closes, the tests clean up as after Ctrl-C.
interrupt_on_signals()

# A busy machine draws slowly; that says nothing about what is drawn.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("long", settings.get_profile("tests"), max_examples=20_000)
settings.load_profile("tests")

LOOPBACK = ["127.0.0.1", "::1", "localhost"]

# pytest listens to loggers that nobody else does, and would write down each request to a sandbox.
logging.getLogger("uvicorn.access").setLevel(logging.ERROR)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """No test reaches another machine, but for the portal that the environment names."""
    named = urlsplit(os.environ.get("BITRIX24_TEST_WEBHOOK", "")).hostname
    for item in items:
        item.add_marker(pytest.mark.allow_hosts([*LOOPBACK, *([named] if named else [])]))


def pytest_collection_finish() -> None:
    """Keep the garbage collector off what lives as long as the process: Airflow, and the tests themselves.

    It would go through all of that again and again, for a third of what the tests cost.
    """
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
    gc.enable()


def room_of(nodeid: str) -> str:
    """Give what keeps tests in one process: their file, or the folder in which they share an Airflow.

    One that runs, or what `DAG.test` makes in a process before its first run, which takes seconds.
    """
    file = Path(nodeid.partition("::")[0])
    return str(file.parent if file.parent.name in ("live", "airflow") else file)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Let the processes of ``make test`` take one room after the other."""
    if config.getoption("dist") != "load":
        return None
    rooms = LoadFileScheduling(config, log)
    rooms._split_scope = room_of
    return rooms


@pytest.fixture(autouse=True)
def _forget_secrets() -> Iterator[None]:
    """Mask the secrets of one test: of all of them one pattern is made, anew with each that comes."""
    yield
    redaction._known = redaction._Known()
    if masker := sys.modules.get("airflow.sdk._shared.secrets_masker"):
        masker._secrets_masker().reset_masker()


@pytest.fixture(autouse=True, scope="session")
def _seeds() -> Iterator[None]:
    """Make a portal's data, and work out what should come of it, once for each seed and size.

    Each sandbox has copies of its own.
    """
    made: dict[Any, bytes] = {}
    told: dict[Any, bytes] = {}
    keys = WeakKeyDictionary[State, Any]()
    seeded = seed.seeded

    def copied(*, clock: Clock, **how: Any) -> State:
        if clock != Clock():
            return seeded(clock=clock, **how)
        key = tuple(sorted(how.items()))
        if key not in made:
            made[key] = pickle.dumps(seeded(clock=clock, **how))
        state: State = pickle.loads(made[key])  # noqa: S301 (our own)
        state.clock = clock
        keys[state] = key
        return state

    def truth(state: State) -> Any:
        if state not in keys:
            return truth_of(state)
        key = keys[state]
        if key not in told:
            told[key] = pickle.dumps(truth_of(state))
        return pickle.loads(told[key])  # noqa: S301 (our own)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(seed, "seeded", copied)
        patch.setattr("airflow_bitrix.sandbox.server.truth_of", truth)
        yield


@pytest.fixture(scope="session")
def object_storage() -> Iterator[Any]:
    """Give an S3 server, to be reached by the connection ``aws_default``."""
    from scripts.object_storage import object_storage  # noqa: PLC0415 (only these tests need boto3)

    with object_storage() as storage:
        yield storage


@pytest.fixture(params=["folder", "object storage"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Give a place for what runs leave: on a disk, and on an object storage."""
    if request.param == "folder":
        return tmp_path
    return cast("Path", request.getfixturevalue("object_storage").folder(tmp_path.name))


def _copy_database(source: Path, target: Path) -> None:
    """Copy also what stands in the log of writes as yet, as long as Airflow has connections."""
    with closing(sqlite3.connect(source)) as whole, closing(sqlite3.connect(target)) as copy:
        whole.backup(copy)


@pytest.fixture(scope="session")
def _airflow_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make Airflow's database; once, where several processes run the tests. Give one that stays empty."""
    alone = "PYTEST_XDIST_WORKER" not in os.environ
    shared = tmp_path_factory.getbasetemp() if alone else tmp_path_factory.getbasetemp().parent
    made, own = shared / "airflow.db", Path(HOME) / "airflow.db"
    with (shared / "airflow.db.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if made.exists():
            _copy_database(made, own)
        else:
            from airflow.utils.db import upgradedb  # noqa: PLC0415 (only these tests need Airflow)

            upgradedb()  # what `airflow db migrate` does, which takes ten times as long to start
            _copy_database(own, made)
    return made


MakeSandbox = Callable[..., Sandbox]


@pytest.fixture
def make_sandbox() -> Iterator[MakeSandbox]:
    """Start sandboxes that stop with the test."""
    with ExitStack() as stack:

        def make(**options: Any) -> Sandbox:
            return stack.enter_context(Sandbox(**options))

        yield make


def quick_manners() -> Manners:
    """Manners that repeat often and hardly wait: for portals without a bucket."""
    return Manners(Unlimited(), Retries(times=8, first=0.002, longest=0.02))


@pytest.fixture
def manners() -> Manners:
    return quick_manners()


@pytest.fixture
def connect() -> Callable[..., Portal]:
    """Give a sync client of a webhook's address."""

    def make(url: str, manners: Manners | None = None, timeout: float = 20) -> Portal:
        hook = webhook(host="", login="", password=url)
        session = requests.Session()
        for adapter in session.adapters.values():
            own_connections(adapter, hook, 5, "")  # type: ignore[arg-type]
        return Portal(requests_transport(session, hook.portal, timeout), manners or quick_manners())

    return make


@pytest.fixture
def connect_async() -> Callable[..., Any]:
    """Give an async client of a webhook's address, as an async context manager."""

    @asynccontextmanager
    async def make(
        url: str, manners: Manners | None = None, *, in_flight: int = 5, seconds: float = 20
    ) -> AsyncIterator[AsyncPortal]:
        hook = webhook(host="", login="", password=url)
        async with open_session(hook, seconds) as session:

            async def post(method: str, body: bytes) -> aiohttp.ClientResponse:
                return await session.post(f"{hook.portal}/{method}", data=body, allow_redirects=False)

            yield AsyncPortal(aiohttp_transport(post, seconds), manners or quick_manners(), in_flight)

    return make
