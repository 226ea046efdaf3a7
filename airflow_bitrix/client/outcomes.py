"""One outcome for each command of a batch, read from whatever shape the portal's answer has.

Follows https://apidocs.bitrix24.com/api-reference/how-to-call-rest-api/batch.html.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from msgspec import Struct

from airflow_bitrix.client.pacing import Rest
from airflow_bitrix.client.wire import Answer, Call, Fault, FaultKind, error_of, fault_of
from airflow_bitrix.core.errors import Bitrix24Error, OutcomeUnknown, PortalAnswer, RetryLater
from airflow_bitrix.core.languages import gettext


class CommandOutcome(Struct, frozen=True):
    """What became of one command of a batch: an answer or a fault."""

    call: Call
    answer: Answer | None = None
    fault: Fault | None = None

    @property
    def ok(self) -> bool:
        """Whether the command was carried out; its result may still be ``False`` or empty."""
        return self.answer is not None

    @property
    def error(self) -> Bitrix24Error | None:
        """The error that a single call would have raised, ``None`` where the command was carried out."""
        return None if self.fault is None else error_of(self.call, self.fault)

    @property
    def answered(self) -> Answer:
        """The command's answer: its result, and what stands beside it.

        :raises Bitrix24Error: The command failed.
        """
        if self.answer is None:
            raise self.error or Bitrix24Error(gettext("{call}: no answer", call=self.call))
        return self.answer

    @property
    def result(self) -> Any:
        """The command's result.

        :raises Bitrix24Error: The command failed.
        """
        return self.answered.result


def is_rest(error: Bitrix24Error) -> bool:
    """Whether an error is about methods that rest: others may be called all the same."""
    return isinstance(error, RetryLater) and error.until is not None


def failed(call: Call, error: Bitrix24Error) -> CommandOutcome:
    """Give the outcome of a command whose batch came to nothing."""
    said = error.answer
    if isinstance(error, RetryLater) and error.until is not None:  # as in is_rest
        return CommandOutcome(
            call, fault=Fault(FaultKind.RESTING, said, Rest(error.until, error.retry_after))
        )
    if isinstance(error, OutcomeUnknown):
        kind = FaultKind.BROKEN
    elif isinstance(error, RetryLater) and not said.code and not said.status:
        kind = FaultKind.UNREACHABLE
    else:
        kind = fault_of({"error": said.code, "error_description": said.text}, said.status).kind
    return CommandOutcome(call, fault=Fault(kind, said))


# The portal answers for each command that it carried out. Where it does not, the answer is not the portal's
# own, or not whole: the command may have been carried out.
def _untold() -> Fault:
    said = gettext("the answer does not tell what became of this command")
    return Fault(FaultKind.BROKEN, PortalAnswer(text=said))


@dataclass(frozen=True, slots=True)
class Maps:
    """The five maps of a batch's answer, by the commands' keys."""

    result: Mapping[str, Any]
    result_error: Mapping[str, Any]
    result_total: Mapping[str, Any]
    result_next: Mapping[str, Any]
    result_time: Mapping[str, Any]

    @classmethod
    def of(cls, answer: object) -> Maps:
        """Read the result of ``batch``."""
        told = _as_map(answer)
        return cls(*(_as_map(told.get(name)) for name in cls.__slots__))


def _as_map(value: object) -> Mapping[str, Any]:
    # PHP writes an empty map as [], and one with keys 0, 1, 2 as a list.
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        return {str(index): item for index, item in enumerate(value)}
    return {}


def outcome_of(key: str, call: Call, maps: Maps) -> CommandOutcome:
    """Read what became of the command ``key``."""
    if key in maps.result_error:
        return CommandOutcome(call, fault=fault_of(maps.result_error[key]))
    if key not in maps.result:
        return CommandOutcome(call, fault=_untold())
    time = maps.result_time.get(key)
    return CommandOutcome(
        call,
        Answer(
            maps.result[key],
            maps.result_total.get(key),
            maps.result_next.get(key),
            time if isinstance(time, dict) else {},
        ),
    )
