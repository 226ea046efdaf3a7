"""Portals for the tests of migrations, and what their links are."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from tests.operators.pairs import Fields, Pair, by_origin

Rows = list[tuple[int, int, str]]
"""Links as contact, sort and primary flag, in order of sort and contact."""


class Portals:
    """Connections to sandboxes, and what the links of their owners are or should come to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch

    def connect(self, **sandboxes: Any) -> None:
        """Make connections, by their ids."""
        for conn_id, sandbox in sandboxes.items():
            found = {
                "conn_type": "bitrix24",
                "password": sandbox.webhook_url,
                "extra": {"plan": "self_hosted"},
            }
            self._monkeypatch.setenv(f"AIRFLOW_CONN_{conn_id.upper()}", json.dumps(found))

    def sorted(self, links: Sequence[Sequence[Any]]) -> Rows:
        """Give links as rows, in order."""
        return sorted(((link[0], link[1], link[2]) for link in links), key=lambda row: (row[1], row[0]))

    def rows(self, sandbox: Any, kind: str) -> dict[int, Rows]:
        """Give the links of all owners of a kind as the portal holds them."""
        return {int(owner): self.sorted(data["links"]) for owner, data in sandbox.links(kind).items()}

    def main(self, owner: Mapping[str, Any]) -> int | None:
        """Give the contact that a portal shows first, by the owner's CONTACT_ID or else by the flags."""
        links = self.sorted(owner["links"])
        if owner["contact_id"] in [row[0] for row in links]:
            return int(owner["contact_id"])
        return min((contact for contact, _, flag in links if flag == "Y"), default=None)

    def remapped(self, owner: Mapping[str, Any], contact_map: Mapping[int, int]) -> Rows:
        """Work out what a contact map comes to for one owner, from what the portal tells of it."""
        links = self.sorted(owner["links"])
        if not any(row[0] in contact_map for row in links):
            return links
        main = self.main(owner) or links[0][0]
        sorts: dict[int, int] = {}
        for contact, sort, _ in links:
            sorts.setdefault(contact_map.get(contact, contact), sort)
        main = contact_map.get(main, main)
        return self.sorted([(contact, sort, "NY"[contact == main]) for contact, sort in sorts.items()])


@pytest.fixture
def portals(monkeypatch: pytest.MonkeyPatch) -> Portals:
    return Portals(monkeypatch)


_LINE = re.compile(r"^\S+ \[(\w+) *\] (.*?) *\[airflow[^\]]*\] loc=", re.MULTILINE)


@pytest.fixture
def logged(capfd: pytest.CaptureFixture[str]) -> Callable[[], list[str]]:
    """Give what Airflow's loggers wrote since the last look: ``info: text``."""

    def look() -> list[str]:
        found = [f"{level}: {text}" for level, text in _LINE.findall(capfd.readouterr().out)]
        return [line for line in found if "outside of the Task Runner" not in line]

    return look


@pytest.fixture
def make_pair(make_sandbox: Any, portals: Portals) -> Callable[..., Pair]:
    def make(fields: Fields = by_origin, **source: Any) -> Pair:
        pair = Pair(
            make_sandbox(**{"plan": "self_hosted", **source}), make_sandbox(plan="self_hosted"), fields
        )
        portals.connect(bitrix24_default=pair.target, bitrix24_source=pair.source)
        return pair

    return make
