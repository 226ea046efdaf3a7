"""The portal under test.

Contract tests take ``portal`` and run against the sandbox; with ``BITRIX24_TEST_WEBHOOK`` in the environment
they run a second time against that portal, where they make their own records and delete them afterwards.
Tests that need switches, faults or another user take ``sandbox`` instead.
"""

from __future__ import annotations

import contextlib
import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest
import requests

from airflow_bitrix.sandbox.server import Sandbox

if TYPE_CHECKING:
    from collections.abc import Iterator

REAL_PORTAL = os.environ.get("BITRIX24_TEST_WEBHOOK", "")
SECONDS_BETWEEN_REQUESTS = 0.5
TIMEOUT = 60
MISSING = 2_000_000_000


@dataclass(frozen=True)
class Reply:
    """What came back: the HTTP status and the decoded body."""

    status: int
    body: Any

    @property
    def result(self) -> Any:
        assert self.status == 200, (self.status, self.body)
        return self.body["result"]

    @property
    def error(self) -> tuple[int, str, str]:
        """Status, code and text of a refusal."""
        return self.status, self.body["error"], self.body["error_description"]


@dataclass
class Client:
    """A plain caller of one webhook that tidies up the records that it made."""

    url: str
    pause: float = 0.0
    session: requests.Session = field(default_factory=requests.Session)
    made: list[tuple[str, int]] = field(default_factory=list)

    def send(self, verb: str, method: str, **options: Any) -> requests.Response:
        """One HTTP request, its options as ``requests`` takes them."""
        time.sleep(self.pause)
        return self.session.request(
            verb, self.url + method, timeout=TIMEOUT, allow_redirects=False, **options
        )

    def call(self, method: str, params: Any = None) -> Reply:
        """One call with a JSON body."""
        answer = self.send("POST", method, json=params if params is not None else {})
        return Reply(answer.status_code, answer.json())

    def batch(self, cmd: Any, **params: Any) -> Any:
        """The five maps of a batch."""
        return self.call("batch", {"cmd": cmd, **params}).result

    def add(self, kind: str, **fields: Any) -> int:
        """Make a record that is deleted at the end of the test."""
        record_id = self.call(f"crm.{kind}.add", {"fields": fields}).result
        assert type(record_id) is int
        self.made.append((kind, record_id))
        return record_id

    def delete(self, kind: str, record_id: int) -> None:
        """Delete a record that this client made."""
        self.made.remove((kind, record_id))
        assert self.call(f"crm.{kind}.delete", {"id": record_id}).result is True

    def tidy(self, keep: int = 0) -> None:
        """Delete what was made, but for the first ``keep`` records."""
        for kind, record_id in reversed(self.made[keep:]):
            self.delete(kind, record_id)

    # Links

    def link(self, kind: str, owner_id: int, links: list[tuple[int, int, str]]) -> None:
        """Add these links to an owner: contact, sort, primary."""
        for contact, sort, primary in links:
            fields = {"CONTACT_ID": contact, "SORT": sort, "IS_PRIMARY": primary}
            assert self.call(f"crm.{kind}.contact.add", {"id": owner_id, "fields": fields}).result is True

    def links(self, kind: str, owner_id: int) -> list[tuple[int, int, str]]:
        """The links of an owner: contact, sort, primary."""
        rows = self.call(f"crm.{kind}.contact.items.get", {"id": owner_id}).result
        return [(row["CONTACT_ID"], row["SORT"], row["IS_PRIMARY"]) for row in rows]

    def scalar(self, kind: str, owner_id: int) -> int | None:
        """CONTACT_ID of the owner itself; the portal writes none as null or as "0"."""
        shown = self.call(f"crm.{kind}.get", {"id": owner_id}).result["CONTACT_ID"]
        assert shown is None or isinstance(shown, str)
        return int(shown or 0) or None

    def flag(self, kind: str, owner_id: int) -> str:
        """IS_RETURN_CUSTOMER of the owner."""
        shown = self.call(f"crm.{kind}.get", {"id": owner_id}).result["IS_RETURN_CUSTOMER"]
        assert isinstance(shown, str)
        return shown


class Contacts(dict[str, int]):
    """Ids of contacts by the letters that the tests call them."""

    def named(self, value: Any) -> Any:
        """The value with letters turned into ids, at any depth."""
        if isinstance(value, dict):
            return {key: self.named(below) for key, below in value.items()}
        if isinstance(value, list):
            return [self.named(below) for below in value]
        return self.get(value, value) if isinstance(value, str) else value


@contextlib.contextmanager
def _client(url: str, pause: float = 0.0) -> Iterator[Client]:
    client = Client(url.rstrip("/") + "/", pause)
    with client.session:
        yield client
        client.tidy()


@pytest.fixture(scope="session", params=["sandbox", "portal"] if REAL_PORTAL else ["sandbox"])
def _portal_under_test(request: pytest.FixtureRequest) -> Iterator[Client]:
    if request.param == "portal":
        with _client(REAL_PORTAL, SECONDS_BETWEEN_REQUESTS) as client:
            yield client
    else:
        with Sandbox(plan="self_hosted") as served, _client(served.webhook_url) as client:
            yield client


@pytest.fixture(scope="session")
def contacts(_portal_under_test: Client) -> Contacts:
    """Four contacts, A to D, in order of their ids."""
    made = {name: _portal_under_test.add("contact", NAME=f"Contract test {name}") for name in "ABCD"}
    return Contacts(made)


@pytest.fixture
def portal(_portal_under_test: Client, contacts: Contacts) -> Iterator[Client]:
    """The portal under test; what a test makes there is gone after it."""
    assert len(contacts) == 4
    kept = len(_portal_under_test.made)
    yield _portal_under_test
    _portal_under_test.tidy(kept)


@pytest.fixture(params=["lead", "deal", "quote"])
def kind(request: pytest.FixtureRequest) -> str:
    """The kinds of owners of which each has a CONTACT_ID of its own, one after the other."""
    return str(request.param)


@pytest.fixture
def owner(portal: Client, kind: str) -> int:
    """A new record of the kind, without links."""
    return portal.add(kind, TITLE="Contract test")


@pytest.fixture(scope="module")
def _sandbox_of_module() -> Iterator[Sandbox]:
    with Sandbox(
        leads=60,
        deals=60,
        contacts=80,
        quotes=60,
        companies=8,
        invoices=40,
        items=40,
        seed=3,
        plan="self_hosted",
    ) as served:
        yield served


@pytest.fixture
def sandbox(_sandbox_of_module: Sandbox) -> Sandbox:
    """A seeded sandbox without a request limit, as after its start."""
    _sandbox_of_module.reset()
    return _sandbox_of_module


@pytest.fixture
def client(sandbox: Sandbox) -> Iterator[Client]:
    """A caller of the seeded sandbox."""
    with _client(sandbox.webhook_url) as caller:
        yield caller
