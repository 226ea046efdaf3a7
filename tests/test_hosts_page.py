"""The fragments in docs/hosts.md are YAML, and name settings that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs would be one more package
from airflow.configuration import conf

from airflow_bitrix.get_provider_info import get_provider_info

PAGE = (Path(__file__).parents[1] / "docs" / "hosts.md").read_text()
HELM, COMPOSE = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
OURS = get_provider_info()["config"]["bitrix24"]["options"]


def variables() -> Iterator[tuple[str, str]]:
    """Each variable that a service of compose gets, and each that Helm fills from a secret."""
    for service in COMPOSE["services"].values():
        yield from service["environment"].items()
    for secret in HELM["secret"]:
        assert secret.keys() == {"envName", "secretName", "secretKey"}
        yield secret["envName"], '{"conn_type": ""}'


def settings() -> Iterator[tuple[str, str]]:
    for section, options in HELM["config"].items():
        yield from ((section, option) for option in options)
    for name, _ in variables():
        if found := re.fullmatch(r"AIRFLOW__([A-Z0-9_]+?)__([A-Z0-9_]+)", name):
            yield found[1].lower(), found[2].lower()


@pytest.mark.parametrize(("section", "option"), sorted(set(settings())))
def test_each_setting_in_the_fragments_is_one(section: str, option: str) -> None:
    assert option in OURS if section == "bitrix24" else conf.has_option(section, option)


def test_what_else_the_fragments_set_are_connections() -> None:
    others = {name: text for name, text in variables() if not name.startswith("AIRFLOW__")}
    assert {name.rpartition("_CONN_")[0] for name in others} == {"AIRFLOW"}
    for text in others.values():
        told: Any = {"conn_type": ""} if text.startswith("${") else json.loads(text)
        assert "conn_type" in told


def test_settings_that_the_page_names_are_there() -> None:
    named = set(re.findall(r"\[bitrix24\] (\w+)", PAGE))
    assert named - {"allowance"} <= OURS.keys()
