"""The fragments in docs/hosts.md are YAML, and what they set is what reads it takes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
import yaml  # type: ignore[import-untyped]  # its stubs would be one more package
from airflow.configuration import conf

from airflow_bitrix.client.pacing import OperatingTime
from airflow_bitrix.client.redis_allowance import WithFallback
from airflow_bitrix.files.leases import LEASE
from airflow_bitrix.get_provider_info import get_provider_info
from airflow_bitrix.hooks.bitrix24 import Bitrix24Hook
from airflow_bitrix.hooks.connection import allowance_of
from airflow_bitrix.operators.shared.artifacts import artifacts_root

PAGE = (Path(__file__).parents[1] / "docs" / "hosts.md").read_text()
HELM, COMPOSE = map(yaml.safe_load, re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
OURS = get_provider_info()["config"]["bitrix24"]["options"]

YOURS = {
    "bitrix24-webhook": {
        "conn_type": "bitrix24",
        "host": "https://acme.bitrix24.com",
        "login": "1",
        "password": "c0de",
    },
    "bitrix24-store": {"conn_type": "aws", "login": "key", "password": "secret"},
    "bitrix24-redis": {"conn_type": "redis", "host": "redis", "password": "secret"},
}
"""What a person puts into the secrets that the fragment for Helm names."""
YOURS |= {"${BITRIX24_CONNECTION}": YOURS["bitrix24-webhook"], "${STORE_CONNECTION}": YOURS["bitrix24-store"]}


def of_helm() -> Iterator[tuple[str, str]]:
    """Each variable of a container, as the chart's airflow.cfg and secrets come to."""
    for section, options in HELM["config"].items():
        for option, text in options.items():
            yield f"AIRFLOW__{section}__{option}".upper(), text
    for secret in HELM["secret"]:
        assert secret.keys() == {"envName", "secretName", "secretKey"}
        yield secret["envName"], json.dumps(YOURS[secret["secretName"]])


def of_compose() -> Iterator[tuple[str, str]]:
    """Each variable of a container; all services have the same."""
    [environment] = {json.dumps(service["environment"]) for service in COMPOSE["services"].values()}
    for name, text in json.loads(environment).items():
        yield name, json.dumps(YOURS[text]) if text in YOURS else text


FRAGMENTS: Mapping[str, dict[str, str]] = {"Helm": dict(of_helm()), "compose": dict(of_compose())}


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_each_setting_in_a_fragment_is_one(fragment: str) -> None:
    settings = [name.split("__")[1:] for name in FRAGMENTS[fragment] if name.startswith("AIRFLOW__")]
    assert ["BITRIX24", "ALLOWANCE"] in settings
    for section, option in settings:
        assert (
            option.lower() in OURS
            if section == "BITRIX24"
            else conf.has_option(section.lower(), option.lower())
        )


@pytest.mark.parametrize("fragment", FRAGMENTS)
def test_what_reads_the_settings_takes_those_of_a_fragment(
    fragment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in FRAGMENTS[fragment].items():
        # Airflow keeps what it opened by a connection, and other tests have another store behind this one.
        monkeypatch.setenv(
            name.replace("AWS_DEFAULT", "AWS_OF_PAGE"), text.replace("aws_default", "aws_of_page")
        )
    assert str(artifacts_root()) == "s3://aws_of_page@acme-airflow/bitrix24"
    allowance = allowance_of(Bitrix24Hook().settings, OperatingTime())
    assert isinstance(allowance, WithFallback)


def test_settings_and_times_that_the_page_names_are_so() -> None:
    assert set(re.findall(r"\[bitrix24\] (\w+)", PAGE)) <= OURS.keys()
    assert f"**{LEASE:.0f} seconds**" in PAGE
    assert conf.getint("scheduler", "task_instance_heartbeat_timeout") == 300
