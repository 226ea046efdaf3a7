"""Errors that Airflow shall not retry, and the sentence in log and report tab that says why a task fails.

Each error of :mod:`airflow_bitrix.core.errors` that would come again has a twin of the same name here that is
an ``AirflowFailException`` as well: ``except Rejected`` still catches it, and Airflow fails the task at once.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, TypeVar, cast

from airflow_bitrix.compat import AirflowException, AirflowFailException, redact
from airflow_bitrix.core import errors
from airflow_bitrix.core.errors import Bitrix24Error
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import language, speaking


class Rejected(errors.Rejected, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.Rejected`, not retried by Airflow."""


class InvalidInput(errors.InvalidInput, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.InvalidInput`, not retried by Airflow."""


class AuthFailed(errors.AuthFailed, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.AuthFailed`, not retried by Airflow."""


class OutcomeUnknown(errors.OutcomeUnknown, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.OutcomeUnknown`, not retried by Airflow."""


class PlanRefused(errors.PlanRefused, AirflowFailException):
    """:class:`~airflow_bitrix.core.errors.PlanRefused`, not retried by Airflow."""


_TWINS: dict[type[Bitrix24Error], type[Bitrix24Error]] = {
    errors.Rejected: Rejected,
    errors.InvalidInput: InvalidInput,
    errors.AuthFailed: AuthFailed,
    errors.OutcomeUnknown: OutcomeUnknown,
    errors.PlanRefused: PlanRefused,
}


@contextmanager
def final_failures() -> Iterator[None]:
    """Turn errors that would come again into failures that Airflow does not retry."""
    twin: Bitrix24Error | None = None
    try:
        yield
    except Bitrix24Error as error:
        kind = next((_TWINS[one] for one in type(error).__mro__ if one in _TWINS), None)
        if kind is None:
            raise
        twin = kind.__new__(kind, error.message)
        twin.__dict__.update(error.__dict__)
        twin.args = (error.message,)
        twin.__traceback__ = error.__traceback__
    if twin is not None:
        raise twin from None


_Work = TypeVar("_Work", bound=Callable[..., Any])


WHY = "failed_because"
"""XCom key of the sentence that says why a task has failed; Airflow forgets it when the next try begins."""


def says_why(work: _Work) -> _Work:
    """Let a method of an operator say why it fails: in a line of its own, ahead of Airflow's traceback.

    The report tab shows the same sentence, and of any other error its type and text. Around the outermost
    method only, which takes the context first, so that it is said once, and never for an error that is
    caught. What says all by itself passes on without the frames that it came through, and Airflow's traceback
    has but those of its own call.
    """

    @functools.wraps(work)
    def wrapped(self: Any, context: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        try:
            with speaking(language()):  # asking Airflow for it at each word takes longer than the words
                return work(self, context, *args, **kwargs)
        except (Bitrix24Error, AirflowException, OSError) as error:
            # Other subclasses of AirflowException are how Airflow skips and reschedules.
            told = (Bitrix24Error, AirflowFailException, OSError)
            if isinstance(error, told) or type(error) is AirflowException:
                said = _line(
                    _of_file(error) if isinstance(error, OSError) else _in_words_of_the_form(error, context)
                )
                self.log.error("%s", said)  # noqa: TRY400 (the traceback is Airflow's to log)
                _leave(said, context)
                if not isinstance(error, OSError):
                    raise error.with_traceback(None) from None
            raise
        except Exception as error:
            _leave(_line(f"{type(error).__name__}: {error}"), context)
            raise

    return cast("_Work", wrapped)


def _line(text: str) -> str:
    """Give a sentence in one line, cut, and without the secrets that Airflow masks: it may be anybody's."""
    return as_plain_text(redact(text), errors.LONGEST_MESSAGE)


def _leave(said: str, context: Mapping[str, Any]) -> None:
    """Leave the sentence for the report tab."""
    with suppress(Exception):  # the task fails for the reason in the log, whatever the tab can show
        context["ti"].xcom_push(key=WHY, value=said)


def _in_words_of_the_form(error: Exception, context: Mapping[str, Any]) -> str:
    """Call an argument by its title, too, where the DAG's trigger form asks for it under the same name."""
    if isinstance(error, errors.InvalidInput):
        with suppress(Exception):  # the form does not ask for it, or there is none
            return error.called(context["dag"].params.get_param(error.argument).schema["title"])
    return str(error)


def _of_file(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)
