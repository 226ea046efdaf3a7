"""Errors that Airflow shall not retry.

Each error of :mod:`airflow_bitrix.core.errors` that would come again has a twin here that is an
``AirflowFailException`` as well: ``except Rejected`` still catches it, and Airflow fails the task at once.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.providers.common.compat.sdk import AirflowFailException

from airflow_bitrix.core.errors import (
    AuthFailed,
    Bitrix24Error,
    InvalidInput,
    OutcomeUnknown,
    PlanRefused,
    Rejected,
)


class FinalRejected(Rejected, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.Rejected`, not retried by Airflow."""


class FinalInvalidInput(InvalidInput, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.InvalidInput`, not retried by Airflow."""


class FinalAuthFailed(AuthFailed, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.AuthFailed`, not retried by Airflow."""


class FinalOutcomeUnknown(OutcomeUnknown, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.OutcomeUnknown`, not retried by Airflow."""


class FinalPlanRefused(PlanRefused, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.PlanRefused`, not retried by Airflow."""


_TWINS: dict[type[Bitrix24Error], type[Bitrix24Error]] = {
    Rejected: FinalRejected,
    InvalidInput: FinalInvalidInput,
    AuthFailed: FinalAuthFailed,
    OutcomeUnknown: FinalOutcomeUnknown,
    PlanRefused: FinalPlanRefused,
}


@contextmanager
def final_failures() -> Iterator[None]:
    """Turn errors that would come again into failures that Airflow does not retry."""
    twin: Bitrix24Error | None = None
    try:
        yield
    except Bitrix24Error as error:
        kind = _TWINS.get(type(error))
        if kind is None:
            raise
        twin = kind.__new__(kind, error.message)
        twin.__dict__.update(error.__dict__)
        twin.args = (error.message,)
        twin.__traceback__ = error.__traceback__
    if twin is not None:
        raise twin from None
