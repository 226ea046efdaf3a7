"""The sandbox portal as a process of its own, and what a clean-up should have made of its leads."""

from __future__ import annotations

import json
import re
import secrets
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from scripts.processes import Processes

ROOT = Path(__file__).resolve().parent.parent

Owners = dict[str, dict[str, Any]]
"""What the sandbox tells of all owners of one kind, by id."""


class SandboxError(RuntimeError):
    """The sandbox did not start, or it does not answer."""


class LocalSandbox:
    """A sandbox portal that runs as long as the processes it was started among.

    :param processes: Where to start it.
    :param leads: Leads to make up; likewise deals and contacts.
    :param more: How many ``quotes``, ``companies``, ``invoices`` and ``items`` to make up; by default none.
    :param seed: The same seed gives the same portal.
    :param originator: Makes the records look imported from those with the same ids in a portal of that name.
    :param port: Port on the loopback interface; 0 for a free one.
    :param python: The Python whose package it is.
    """

    def __init__(
        self,
        processes: Processes,
        *,
        leads: int = 2000,
        deals: int = 2000,
        contacts: int = 3000,
        more: Mapping[str, int] | None = None,
        seed: int = 7,
        originator: str = "",
        port: int = 0,
        python: str = sys.executable,
    ) -> None:
        self.code = secrets.token_hex(8)
        self.url = ""
        self._processes, self._python = processes, python
        figures = {"port": port, "leads": leads, "deals": deals, "contacts": contacts, "seed": seed}
        figures |= more or {}
        self._options = [text for name, figure in figures.items() for text in (f"--{name}", str(figure))]
        self._options += ["--originator", originator] if originator else []
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the environment must not see loopback traffic

    def start(self, timeout: float = 60) -> Self:
        """Start it and wait until it accepts connections."""
        command = [self._python, "-m", "airflow_bitrix.sandbox", *self._options, "--code", self.code]
        with tempfile.TemporaryDirectory() as folder, tempfile.NamedTemporaryFile() as output:
            # Elsewhere than in a clone, whose package would be found before the one that is installed.
            place = Path(folder)
            process = self._processes.start(command, output=output, cwd=place, PYTHONUNBUFFERED="1")
            deadline = time.monotonic() + timeout
            while True:
                # Opened anew: where the child writes next is one with where this file is read.
                said = Path(output.name).read_bytes().decode(errors="replace").replace(self.code, "***")
                if found := re.search(r"^webhook: (http://\S+?)/rest/", said, re.MULTILINE):
                    self.url = found[1]
                    return self
                if process.poll() is not None or time.monotonic() > deadline:
                    raise SandboxError(f"the sandbox did not start; it said:\n{said}")
                time.sleep(0.05)

    def webhook(self) -> str:
        """Tell the address of its webhook, as a portal's own page shows it."""
        return f"{self.url}/rest/1/{self.code}/"

    def connection(self) -> dict[str, str | int]:
        """Tell the fields of the Airflow connection that leads here."""
        webhook = {"login": "1", "password": self.code, "extra": '{"plan": "standard"}'}
        return {**self._place(), "description": "The sandbox portal on this machine", **webhook}

    def application(self, *, tokens: bool = True) -> dict[str, str | int]:
        """Tell the fields of a connection for the portal's local application, in place of the webhook.

        :param tokens: Whether it has a first pair of tokens.
        """
        told: dict[str, str] = self._get("application")
        extra = told if tokens else {name: told[name] for name in ("client_id", "client_secret")}
        return {**self._place(), "extra": json.dumps(extra)}

    def _place(self) -> dict[str, str | int]:
        """Tell the fields that name the portal.

        The port is a field of its own: Airflow's Test button sends 0 for a port that is not set, and then
        refuses to test another port than the stored one.
        """
        host, _, port = self.url.rpartition(":")
        return {"conn_type": "bitrix24", "host": host, "port": int(port)}

    def released_leads(self) -> set[str]:
        """Tell the ids of the leads that a clean-up of repeat leads should release."""
        truth = self._get("truth")
        return {str(lead_id) for lead_id in truth["expected"]["release_repeat_leads"]["released"]}

    def owners(self, kind: str) -> Owners:
        """Tell links, repeat flag and last change of all owners of a kind."""
        found: Owners = self._get("links", kind=kind)
        return found

    def stats(self) -> dict[str, Any]:
        """Tell how many requests and writes the portal has seen."""
        found: dict[str, Any] = self._get("stats")
        return found

    def set_faults(self, **faults: Any) -> None:
        """Let it fail in such ways from now on, and in no others."""
        self._set("faults", faults)

    def set_switches(self, **switches: Any) -> None:
        """Turn the named switches, and leave the others."""
        self._set("switches", switches)

    def messages(self) -> list[tuple[str, str]]:
        """Tell whom somebody told what, in order: the user or chat, and the text."""
        return [(one["to"], one["text"]) for one in self._get("messages")]

    def comments(self) -> list[tuple[str, str]]:
        """Tell all comments on cards, in order: the id of the owner, and the text."""
        return [(str(one["owner_id"]), one["text"]) for one in self._get("comments")]

    def _set(self, what: str, given: dict[str, Any]) -> None:
        response = self._session.post(f"{self.url}/__sandbox/{what}", json=given, timeout=30)
        if not response.ok:
            raise SandboxError(f"the sandbox does not take these {what}: {response.text}")

    def _get(self, what: str, **query: str) -> Any:
        try:
            response = self._session.get(f"{self.url}/__sandbox/{what}", params=query, timeout=30)
            response.raise_for_status()
        except requests.RequestException as error:
            raise SandboxError(f"the sandbox does not answer: {error}") from error
        return response.json()


def difference(before: Owners, after: Owners, released: set[str]) -> list[str]:
    """Tell in sentences where leads are not what releasing exactly those leads should have left.

    A released lead has no links and is no repeat lead; its date of change is its own affair.
    Every other lead is as it was, to the date of its last change.
    """
    problems = [f"lead {one} is new or gone" for one in sorted(before.keys() ^ after.keys(), key=int)]
    for lead_id in sorted(before.keys() & after.keys(), key=int):
        was, now = before[lead_id], after[lead_id]
        if lead_id in released:
            freed: dict[str, Any] = {"links": [], "contact_id": None, "is_return_customer": "N"}
            was = {**was, **freed, "date_modify": now["date_modify"]}
        problems += [
            f"lead {lead_id}: {name} is {now[name]!r}, not {was[name]!r}"
            for name in was
            if now[name] != was[name]
        ]
    return problems
