"""What Airflow reads of the provider is valid, and everything that it names is there."""

from __future__ import annotations

import importlib
import json
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import airflow
import jsonschema
import pytest
from airflow.providers_manager import ProvidersManager
from airflow.sdk.bases.notifier import BaseNotifier

from airflow_bitrix.get_provider_info import get_provider_info
from airflow_bitrix.hooks.settings import EXTRAS

AIRFLOW = Path(airflow.__file__).parent
INFO = get_provider_info()
CONNECTION_TYPE = INFO["connection-types"][0]


def schema(name: str) -> Any:
    return json.loads((AIRFLOW / name).read_text())


def test_the_provider_info_satisfies_airflow_s_runtime_schema() -> None:
    jsonschema.validate(INFO, schema("provider_info.schema.json"))


def test_the_connection_type_satisfies_airflow_s_provider_schema() -> None:
    whole = schema("provider.yaml.schema.json")
    part = {**whole["properties"]["connection-types"], "definitions": whole.get("definitions", {})}
    jsonschema.validate(INFO["connection-types"], part)


ROOMS = ("hooks", "operators", "sensors", "triggers")


@pytest.mark.parametrize(
    "module",
    [module for key in ROOMS for entry in INFO[key] for module in entry["python-modules"]],
)
def test_every_module_that_is_named_imports(module: str) -> None:
    assert importlib.import_module(module)


def test_the_form_has_a_field_for_every_extra_and_no_other() -> None:
    assert set(CONNECTION_TYPE["conn-fields"]) == set(EXTRAS)


def test_airflow_finds_the_hook_of_the_connection_type() -> None:
    points = entry_points(group="apache_airflow_provider")
    (point,) = [point for point in points if point.value.startswith("airflow_bitrix.")]
    assert point.load() is get_provider_info
    hook = ProvidersManager().hooks["bitrix24"]  # type: ignore[no-untyped-call]
    assert hook is not None
    assert hook.hook_class_name == CONNECTION_TYPE["hook-class-name"]
    assert hook.connection_id_attribute_name == "bitrix24_conn_id"


def test_airflow_lists_the_notifier() -> None:
    told = map(str, ProvidersManager().notification)  # type: ignore[no-untyped-call]
    assert [name for name in told if name.startswith("airflow_bitrix.")] == INFO["notifications"]
    for name in INFO["notifications"]:
        module, _, notifier = name.rpartition(".")
        assert issubclass(getattr(importlib.import_module(module), notifier), BaseNotifier)
