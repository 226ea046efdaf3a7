"""What an Airflow that this package is installed beside may lack, or a provider beside it.

Each entry says which version makes it superfluous; once pyproject.toml asks for that version, it goes.
Nothing else in the package asks for a version of Airflow or of a provider.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import timedelta
from functools import cache
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, TypeVar

from airflow.providers.standard.operators import hitl
from airflow.sdk._shared.secrets_masker import redact  # no version names it in public
from packaging.version import Version

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import ENGLISH, LANGUAGES, go_by, speaking
from airflow_bitrix.get_provider_info import get_provider_info

try:
    from airflow.sdk.configuration import conf
    from airflow.sdk.exceptions import (
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
    )
except ImportError:  # superfluous with Airflow 3.2
    from airflow.configuration import conf
    from airflow.exceptions import (  # type: ignore[attr-defined, no-redef]
        AirflowException,
        AirflowFailException,
        AirflowNotFoundException,
        AirflowSkipException,
    )

if TYPE_CHECKING:
    from airflow.sdk import Context
    from airflow.triggers.base import BaseEventTrigger

__all__ = [
    "AirflowException",
    "AirflowFailException",
    "AirflowNotFoundException",
    "AirflowSkipException",
    "ApprovalOperator",
    "asset_state",
    "conf",
    "connection_form",
    "read_variable",
    "redact",
    "write_variable",
]

_Hook = TypeVar("_Hook", bound=type)


@cache
def _language() -> str:
    """Give the language of the setting, which is read once: each text asks for it.

    :raises InvalidInput: There is no such language; in English, as it would be asked for again otherwise.
    """
    told: str = (conf.get("bitrix24", "language", fallback="") or ENGLISH).strip().lower()
    if told not in LANGUAGES:
        with speaking(ENGLISH):
            raise InvalidInput("[bitrix24] language", told, " or ".join(LANGUAGES))
    return told


go_by(_language)


def _is(package: str, release: str) -> bool:
    """Whether a package has come to a release."""
    return Version(version(package)) >= Version(release)


# -- superfluous with Airflow 3.3 ----------------------------------------------------------------------------


def asset_state(trigger: BaseEventTrigger) -> Any:
    """Give what Airflow keeps for the asset that a trigger watches; ``None`` where it keeps nothing."""
    return getattr(trigger, "asset_state_store", None)


# -- superfluous with Airflow 3.2, which reads the form from get_provider_info() -----------------------------

_READS_FORMS = _is("apache-airflow-core", "3.2")


def connection_form(hook: _Hook) -> _Hook:
    """Let Airflow 3.1 show the connection form that the provider info describes.

    It asks the class for the form by two methods, which newer versions warn about; so they have none.
    """
    if not _READS_FORMS:
        (form,) = get_provider_info()["connection-types"]
        behaviour = {name.replace("-", "_"): value for name, value in form["ui-field-behaviour"].items()}
        fields = form["conn-fields"]
        # Airflow looks at what the class itself holds, and not at what it inherits.
        hook.get_ui_field_behaviour = staticmethod(lambda: behaviour)  # type: ignore[attr-defined]
        hook.get_connection_form_widgets = staticmethod(lambda: _widgets(fields))  # type: ignore[attr-defined]
    return hook


def _widgets(fields: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Give the fields as Airflow 3.1 takes them: as WTForms has them, for which it has stand-ins of its own.

    These know text, whole numbers, yes or no, and a choice; other numbers are asked for as text.
    """
    from wtforms import IntegerField, StringField  # noqa: PLC0415 (without Airflow's stand-ins there is none)
    from wtforms.validators import Optional, any_of  # noqa: PLC0415 (likewise)

    found = {}
    for name, field in fields.items():
        schema = field["schema"]
        kind = IntegerField if "integer" in schema["type"] else StringField
        rules = [Optional(), *([any_of(schema["enum"])] if "enum" in schema else [])]
        found[name] = kind(
            field["label"],
            validators=rules,
            description=field["description"],
            default=schema.get("default"),
        )
    return found


# -- superfluous once airflow.sdk.Variable writes in every process that it reads in --------------------------


def _has_supervisor() -> bool:
    """Whether this process is a task or a trigger; others ask Airflow's database themselves."""
    runner = sys.modules.get("airflow.sdk.execution_time.task_runner")
    return getattr(runner, "SUPERVISOR_COMMS", None) is not None


def read_variable(name: str) -> str:
    """Give the value of a Variable, empty where there is none."""
    if _has_supervisor():
        from airflow.sdk import Variable  # noqa: PLC0415 (the other one is slow to import)

        return str(Variable.get(name, default=None) or "")
    from airflow.models.variable import Variable as Stored  # noqa: PLC0415 (only outside of tasks)

    return str(Stored.get(name, default_var=None) or "")


def write_variable(name: str, value: str) -> None:
    """Set a Variable."""
    if _has_supervisor():
        from airflow.sdk import Variable  # noqa: PLC0415 (likewise)

        Variable.set(name, value)
        return
    from airflow.models.variable import Variable as Stored  # noqa: PLC0415 (likewise)

    Stored.set(name, value)


# -- superfluous with the standard provider 1.12.2, and with Airflow 3.2 beside 1.10 of it -------------------

_TAKES_RESPONSE_TIMEOUT = _is("apache-airflow-providers-standard", "1.12.2")
_ASKS_ITS_OWN_PARAMS = _is("apache-airflow-core", "3.2") and _is("apache-airflow-providers-standard", "1.10")


class ApprovalOperator(hitl.ApprovalOperator):
    """Airflow's operator that asks a person, with an end to the waiting.

    :param response_timeout: How long an answer is waited for; ``None`` for as long as it takes.
    """

    def __init__(self, *, response_timeout: timedelta | None = None, **kwargs: Any) -> None:
        if _TAKES_RESPONSE_TIMEOUT:
            kwargs["response_timeout"] = response_timeout
        super().__init__(**kwargs)
        if not _TAKES_RESPONSE_TIMEOUT:
            self.response_timeout = response_timeout
        if not _ASKS_ITS_OWN_PARAMS:
            # Who approves would be asked the DAG's trigger form once more, which the page of 3.1.8 fails to
            # show, and 3.1.3 would refuse the answer.
            from_dag = self.dag.params if self.has_dag() else {}  # type: ignore[no-untyped-call]
            own = {name: self.params.get_param(name) for name in self.params if name not in from_dag}
            self.params = type(self.params)(own)

    def execute(self, context: Context) -> Any:
        """Ask, and wait for the answer."""
        if not _TAKES_RESPONSE_TIMEOUT:
            # The older operator reckons with this; what Airflow makes of it is settled when it calls us.
            self.execution_timeout = self.response_timeout
        return super().execute(context)
