"""The errors of this package, grouped by what the caller does next.

::

    Bitrix24Error
    ├── RetryLater        the portal is busy or unreachable: the same call may be made again later
    ├── Rejected          the portal refused the call: it would refuse it again
    │   └── InvalidInput  this package refused it before anything was sent (also a ValueError)
    ├── AuthFailed        the portal does not accept the webhook, or the application
    ├── OutcomeUnknown    a creating call was sent and no answer came: look before calling again
    └── PlanRefused       a plan may not run: a guard, a hash, a portal

Every error carries the portal's own code and text, the method and the owner, as far as there are any.
No error carries an address: the webhook's secret is part of it.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

from airflow_bitrix.core.foreign_text import LONGEST, as_plain_text
from airflow_bitrix.core.languages import gettext

LONGEST_MESSAGE = 4 * LONGEST
"""Signs of an error's sentence; it may list what is accepted."""

_LONGEST_CODE = 200


@dataclass(frozen=True, slots=True)
class PortalAnswer:
    """What the portal said of a refused or failed call, as plain text of bounded length.

    :param code: The ``error`` of the answer; often an empty string.
    :param text: The ``error_description`` of the answer, or what happened to the connection.
    :param status: The HTTP status, 0 where there was none.
    """

    code: str = ""
    text: str = ""
    status: int = 0

    def __post_init__(self) -> None:
        """Make plain text of the portal's words: an error with them may be kept for each of many changes."""
        object.__setattr__(self, "code", as_plain_text(self.code, _LONGEST_CODE))
        object.__setattr__(self, "text", as_plain_text(self.text))

    def __str__(self) -> str:
        """Give code and text as one piece: ``ACCESS_DENIED: Access denied!``."""
        said = ": ".join(part for part in (self.code, self.text) if part)
        return said or (
            gettext("HTTP status {status} without a reason", status=str(self.status))
            if self.status
            else gettext("no reason given")
        )


class Bitrix24Error(Exception):
    """Anything that this package raises about a portal, a call or a plan.

    :param message: One sentence for a person. Of what it quotes, whatever that is, it is made plain text: a
        webhook's address in it, which people paste anywhere, loses its secret.
    :param answer: The portal's own words.
    :param method: The REST method, for example ``crm.lead.contact.add``.
    :param owner: The owner that it is about, for example ``lead 5``.
    """

    def __init__(
        self, message: str, *, answer: PortalAnswer | None = None, method: str = "", owner: str = ""
    ) -> None:
        message = as_plain_text(message, LONGEST_MESSAGE)
        super().__init__(message)
        self.message = message
        self.answer = answer or PortalAnswer()
        self.method = method
        self.owner = owner

    def __str__(self) -> str:
        """Give the message alone; it already names method and owner."""
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        """Survive pickling, which rebuilds exceptions from positional arguments only."""
        return _rebuild, (type(self), self.__dict__.copy())


_Error = TypeVar("_Error", bound=Bitrix24Error)


def _rebuild(kind: type[_Error], attributes: dict[str, Any]) -> _Error:
    error = kind.__new__(kind, attributes["message"])
    error.__dict__.update(attributes)
    return error


class RetryLater(Bitrix24Error):
    """The portal throttles, is unavailable or cannot be reached; repeats within the call did not help.

    :param retry_after: Seconds after which another try makes sense.
    :param until: Until when the portal lets a method rest, unix time; ``None`` where it is not about that.
    """

    def __init__(
        self, message: str, *, retry_after: float = 60.0, until: float | None = None, **details: Any
    ) -> None:
        super().__init__(message, **details)
        self.retry_after = retry_after
        self.until = until


class Rejected(Bitrix24Error):
    """The portal refused the call: bad parameters, no access, not found. Never repeated."""


class InvalidInput(Rejected, ValueError):
    """An argument that is refused before anything is sent.

    :param argument: Name of the argument.
    :param value: What was given. It stands in the message, so it must not be a secret; that of a webhook's
        address, which people paste anywhere, is taken out.
    :param accepted: What would have been accepted, as the end of a sentence.
    :param problem: What is wrong, where "<value> is not accepted" would not say it.
    """

    def __init__(self, argument: str, value: object, accepted: str, *, problem: str = "") -> None:
        self.wrong = as_plain_text(problem) or gettext("{value} is not accepted", value=_shown(value))
        self.argument = argument
        self.value = _kept(value)
        self.accepted = accepted
        super().__init__(self._sentence(argument))
        self.bare = self.message

    def called(self, title: str) -> str:
        """Give its sentence with the argument called by the title of its field in a form, too."""
        if self.message != self.bare:  # it has another place by now
            return self.message
        return as_plain_text(self._sentence(f"{title} ({self.argument})"), LONGEST_MESSAGE)

    def inside(self, place: str, title: str = "") -> None:
        """Say where the argument stands, such as in which connection; ``bare`` is the sentence without it.

        :param title: Of its field in a form, if it has one.
        """
        self.bare = self.called(title) if title else self.message
        self.message = f"{place}: {self.bare}"

    def _sentence(self, argument: str) -> str:
        return gettext(
            "{argument}: {wrong}; accepted: {accepted}",
            argument=argument,
            wrong=self.wrong,
            accepted=self.accepted,
        )


class AuthFailed(Bitrix24Error):
    """The portal does not accept the webhook, or the application.

    It was revoked or blocked, lacks the scope, its user may not enter, or the portal is closed or has no
    subscription for REST. No other call would be accepted either, but for one of another scope.
    """


class OutcomeUnknown(Bitrix24Error):
    """A call that must not be repeated was sent and no answer came back."""


class PlanRefused(Bitrix24Error):
    """A plan may not run: it was edited, belongs to another portal, or breaks a guard."""


def _kept(value: object) -> object:
    """Give a value as it is where it is plain, small and holds no secret; else as it is shown.

    Anything else (a generator, a connection) might not survive pickling.
    """
    with suppress(ValueError, RecursionError):
        if _is_plain(value) and as_plain_text(value, spelt=repr) == repr(value):
            return value
    return _shown(value)


def _is_plain(value: object) -> bool:
    if isinstance(value, (list, tuple)):
        return all(_is_plain(item) for item in value)
    if isinstance(value, dict):
        return all(_is_plain(item) for pair in value.items() for item in pair)
    return value is None or isinstance(value, (str, int, float, bytes))


_LONGEST_SHOWN = 200


def _shown(value: object) -> str:
    return as_plain_text(value, _LONGEST_SHOWN, repr)
