"""The domain stands alone: it needs nothing but the standard library."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import airflow_bitrix.core

HOUSE = Path(next(iter(airflow_bitrix.core.__path__)))
MODULES = [
    "airflow_bitrix.core",
    *sorted(f"airflow_bitrix.core.{path.stem}" for path in HOUSE.glob("*.py") if path.stem != "__init__"),
]
LOADED = """
import json, sys
before = set(sys.modules)
import importlib
importlib.import_module(sys.argv[1])
print(json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize("module", MODULES)
def test_a_module_of_the_domain_loads_only_the_standard_library_and_the_domain(module: str) -> None:
    run = subprocess.run(
        [sys.executable, "-c", LOADED, module],
        capture_output=True,
        text=True,
        check=True,
        cwd=HOUSE.parent.parent,
    )
    loaded = json.loads(run.stdout)
    assert module in loaded
    foreign = [
        name
        for name in loaded
        if name.split(".")[0] not in sys.stdlib_module_names
        and name != "airflow_bitrix"
        and not f"{name}.".startswith("airflow_bitrix.core.")
    ]
    assert foreign == []
