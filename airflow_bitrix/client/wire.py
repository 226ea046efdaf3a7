"""Calls to requests, and responses to answers or faults. Pure functions, no input or output.

Follows https://apidocs.bitrix24.com/error-codes.html; the portal's ``error`` code decides before the HTTP
status does, since the status of the same error differs between versions and front ends.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any
from urllib.parse import urlsplit

import msgspec

from airflow_bitrix.client.bodies import UnreadableError, parsed
from airflow_bitrix.client.pacing import Rest
from airflow_bitrix.client.wrong_pages import without_answer
from airflow_bitrix.core.errors import (
    AuthFailed,
    Bitrix24Error,
    InvalidInput,
    OutcomeUnknown,
    PortalAnswer,
    Rejected,
    RetryLater,
)
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext, gettext_noop

METHOD_NAME = re.compile(r"[A-Za-z0-9_]+(?:\.[A-Za-z0-9_]+)*")
"""What the name of a REST method looks like; anything else in its place would make another address."""

_LONGEST_ID = 40
_LINK_METHOD = re.compile(
    r"crm\.([a-z]+)\.(?:contact|company)\.(?:add|delete|fields|items\.(?:get|set|delete))"
)


@functools.lru_cache(maxsize=256)
def _is_method(name: str) -> bool:
    return METHOD_NAME.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class Call:
    """One REST method with its parameters."""

    method: str
    params: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse a method that would lead to another address.

        :raises InvalidInput: ``method`` is no name of a REST method, or ``params`` no map.
        """
        if not isinstance(self.method, str) or not _is_method(self.method):
            raise InvalidInput("method", self.method, gettext("the name of a REST method, such as 'profile'"))
        if not isinstance(self.params, (dict, Mapping)):
            raise InvalidInput("params", self.params, gettext("a map of parameter to value"))

    @property
    def owner(self) -> str:
        """The record whose links a method is about, ``lead 5``; empty for methods that are about no links."""
        link_method = _LINK_METHOD.fullmatch(self.method)
        owner_id = self.params.get("id", self.params.get("ID"))
        return (
            f"{link_method[1]} {as_plain_text(owner_id, _LONGEST_ID)}"
            if link_method and owner_id is not None
            else ""
        )

    def __str__(self) -> str:
        """Give method and owner, without parameters: those may hold personal data."""
        return f"{self.method} ({self.owner})" if self.owner else self.method


@dataclass(frozen=True, slots=True)
class Request:
    """What is posted: the last part of the address and a JSON body."""

    method: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back, whatever it is."""

    status: int
    body: bytes = field(repr=False)
    location: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Lost:
    """No reply came back.

    :param sent: Whether the portal may have received the request.
    :param reason: What happened, in words of ours or of the system, without an address.
    :param final: Whether another try would end the same, as with a certificate that cannot be verified.
    """

    sent: bool
    reason: str
    final: bool = False


class Answer(msgspec.Struct, frozen=True):
    """A successful answer: the result and what stands beside it."""

    result: Any
    total: int | None = None
    next: int | None = None
    time: Mapping[str, Any] = msgspec.field(default_factory=dict)


class FaultKind(Enum):
    """What a fault means for the next step."""

    THROTTLED = "throttled"
    """The portal's bucket is full; nothing was done."""
    RESTING = "resting"
    """The operating time of a method is used up; nothing was done."""
    UNREACHABLE = "unreachable"
    """The request did not reach the portal; nothing was done."""
    BROKEN = "broken"
    """The portal failed or the answer was lost; the work may have been done."""
    ELSEWHERE = "elsewhere"
    """The connection leads to no portal that can be trusted: a redirect, a certificate; nothing was done."""
    REJECTED = "rejected"
    """The portal refused the call."""
    AUTH = "auth"
    """The portal refused the caller."""


DONE_NOTHING = frozenset({FaultKind.THROTTLED, FaultKind.RESTING, FaultKind.UNREACHABLE})
REPEATABLE = DONE_NOTHING | {FaultKind.BROKEN}


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a call gave no result, and the portal's own words.

    :param rest: For how long a resting method is not to be called.
    :param reset_at: What the error itself told of when that ends, unix time; not looked at yet.
    """

    kind: FaultKind
    answer: PortalAnswer
    rest: Rest | None = None
    reset_at: Any = None

    @property
    def expired(self) -> bool:
        """Whether the portal says that the access token has expired."""
        return self.answer.code.upper() == "EXPIRED_TOKEN"

    @property
    def wants_tokens(self) -> bool:
        """Whether newer tokens may help: one is no good any more as soon as somebody has got the next."""
        return self.expired or self.answer.code.upper() == "INVALID_TOKEN"


_BY_CODE: Mapping[str, FaultKind] = {
    "QUERY_LIMIT_EXCEEDED": FaultKind.THROTTLED,
    "OPERATION_TIME_LIMIT": FaultKind.RESTING,
    "INTERNAL_SERVER_ERROR": FaultKind.BROKEN,
    "ERROR_UNEXPECTED_ANSWER": FaultKind.BROKEN,
    "ACCESS_DENIED": FaultKind.REJECTED,
    "ERROR_METHOD_NOT_FOUND": FaultKind.REJECTED,
    "APPLICATION_NOT_FOUND": FaultKind.AUTH,
    "AUTHORIZATION_ERROR": FaultKind.AUTH,
    "CONNECTION_ERROR": FaultKind.UNREACHABLE,
    "EXPIRED_TOKEN": FaultKind.AUTH,
    "INSUFFICIENT_SCOPE": FaultKind.AUTH,
    "INVALID_CREDENTIALS": FaultKind.AUTH,
    "INVALID_REQUEST": FaultKind.AUTH,
    "INVALID_TOKEN": FaultKind.AUTH,
    "NO_AUTH_FOUND": FaultKind.AUTH,
    "OVERLOAD_LIMIT": FaultKind.AUTH,
    "PORTAL_DELETED": FaultKind.AUTH,
    "USER_ACCESS_ERROR": FaultKind.AUTH,
    "WRONG_AUTH_TYPE": FaultKind.AUTH,
    "WRONG_LICENSE": FaultKind.AUTH,
}

# The same code says that one record may not be touched, and that the portal has no subscription for REST.
_NO_SUBSCRIPTION = re.compile(r"\bREST is available only\b", re.IGNORECASE)
_UNAUTHORIZED = 401

_BY_STATUS: Mapping[int, FaultKind] = {
    401: FaultKind.AUTH,
    408: FaultKind.BROKEN,
    429: FaultKind.RESTING,
    500: FaultKind.BROKEN,
    502: FaultKind.BROKEN,
    503: FaultKind.BROKEN,
    504: FaultKind.BROKEN,
}

_FIRST_ERROR_STATUS = 400
_FIRST_REDIRECT_STATUS = 300

# Methods that may be sent again when it is not known whether they were carried out: all link methods,
# whatever reads, and whatever writes a state instead of making a record.
_REPEATABLE_ENDINGS = (".get", ".list", ".fields", ".update", ".set", ".findbycomm", ".getzoneid")
_REPEATABLE = frozenset({"profile", "scope"})
_DELETES_WHAT_IT_GIVES = "event.offline.get"


def may_repeat(call: Call) -> bool:
    """Whether ``call`` may be sent again when its outcome is not known."""
    return _is_repeatable(call.method)


@functools.lru_cache(maxsize=256)
def _is_repeatable(name: str) -> bool:
    method = name.lower()
    if method == _DELETES_WHAT_IT_GIVES:
        return False
    known = method in _REPEATABLE or _LINK_METHOD.fullmatch(method) is not None
    return known or method.endswith(_REPEATABLE_ENDINGS)


def request_of(call: Call) -> Request:
    """Make the request of one call: parameters travel as JSON, which keeps their types.

    :raises InvalidInput: A parameter that JSON cannot express.
    """
    try:
        text = json.dumps(call.params, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return Request(call.method, text.encode())
    except (TypeError, ValueError, RecursionError) as error:
        reason = str(error)
    accepted = gettext(
        "text, finite numbers, true, false, null, and lists and maps of them ({reason})", reason=reason
    )
    raise InvalidInput(f"params of {call}", call.params, accepted)


def read(reply: Reply | Lost) -> Answer | Fault:
    """Read what came back for one request."""
    if isinstance(reply, Lost):
        kind = FaultKind.BROKEN if reply.sent else FaultKind.UNREACHABLE
        return Fault(FaultKind.ELSEWHERE if reply.final else kind, PortalAnswer(text=reply.reason))
    if _FIRST_REDIRECT_STATUS <= reply.status < _FIRST_ERROR_STATUS:
        return Fault(FaultKind.ELSEWHERE, PortalAnswer(text=_moved(reply.location), status=reply.status))
    try:
        body = parsed(reply.body)
    except (UnreadableError, ValueError) as error:
        return _unreadable(reply, str(error) if isinstance(error, UnreadableError) else "")
    if isinstance(body, dict) and "error" in body:  # the code is often empty, so its presence decides
        return fault_of(body, reply.status)
    if not isinstance(body, dict) or "result" not in body or reply.status >= _FIRST_ERROR_STATUS:
        return _unreadable(reply)
    time = body.get("time")
    return Answer(
        result=body["result"],
        total=body.get("total"),
        next=body.get("next"),
        time=time if isinstance(time, dict) else {},
    )


def fault_of(body: object, status: int = 0) -> Fault:
    """Read an error body, of a whole answer or of one command of a batch."""
    code: Any = ""
    text: Any = ""
    reset_at = None
    if isinstance(body, dict):
        time = body.get("time")
        reset_at = time.get("operating_reset_at") if isinstance(time, dict) else None
        code, text = body.get("error", ""), body.get("error_description", "")
        if isinstance(code, dict):  # the shape of REST 3.0
            code, text = code.get("code", ""), code.get("message", "")
    else:
        text = body
    answer = PortalAnswer(code or "", text or "", status)
    kind = _BY_CODE.get(answer.code.upper()) or _BY_STATUS.get(status, FaultKind.REJECTED)
    if answer.code.upper() == "ACCESS_DENIED" and (
        status == _UNAUTHORIZED or _NO_SUBSCRIPTION.search(answer.text)
    ):
        kind = FaultKind.AUTH
    return Fault(kind, answer, reset_at=reset_at)


def error_of(call: Call, fault: Fault, *, repeatable: bool | None = None) -> Bitrix24Error:
    """Give the error that tells a person about ``fault``.

    :param repeatable: Whether the call may be repeated blindly; by default what :func:`may_repeat` says.
    """
    repeatable = may_repeat(call) if repeatable is None else repeatable
    details: dict[str, Any] = {"answer": fault.answer, "method": call.method, "owner": call.owner}
    if fault.kind is FaultKind.AUTH:
        said = gettext(_NOT_ACCEPTED.get(fault.answer.code.upper(), _NOT_AT_ALL))
        return AuthFailed(f"{call}: {said}: {fault.answer}", **details)
    if fault.kind is FaultKind.ELSEWHERE:
        return Rejected(f"{call}: {fault.answer}", **details)
    if fault.kind is FaultKind.REJECTED:
        said = gettext("{call}: the portal refused: {answer}", call=call, answer=fault.answer)
        return Rejected(said, **details)
    if fault.kind is FaultKind.BROKEN and not repeatable:
        return OutcomeUnknown(
            gettext(
                "{call}: sent, but it is not known whether it was carried out: {answer}",
                call=call,
                answer=fault.answer,
            ),
            **details,
        )
    busy = gettext(_BUSY[fault.kind])
    if fault.rest:
        moment = f"{datetime.fromtimestamp(fault.rest.until, UTC):%H:%M:%S}"
        busy += gettext(" until {moment} UTC", moment=moment)
        details |= {"retry_after": fault.rest.seconds, "until": fault.rest.until}
    return RetryLater(f"{call}: {busy}: {fault.answer}", **details)


def resting(rest: Rest) -> Fault:
    """Give the fault of a call that was not made because its method rests."""
    return Fault(FaultKind.RESTING, PortalAnswer(text=gettext("its operating time is used up")), rest)


_NOT_AT_ALL = gettext_noop("the portal does not accept the webhook")

_NOT_ACCEPTED = {
    "ACCESS_DENIED": gettext_noop("the portal has no subscription for REST"),
    "APPLICATION_NOT_FOUND": gettext_noop(
        "the application was deleted in the portal, or is not installed there"
    ),
    "AUTHORIZATION_ERROR": gettext_noop("the portal does not let the user of the webhook or application in"),
    "EXPIRED_TOKEN": gettext_noop(
        "the portal calls each access token expired, however new it is: are its clock and that of the "
        "OAuth server apart?"
    ),
    "INSUFFICIENT_SCOPE": gettext_noop("the webhook or application lacks the scope for it"),
    "INVALID_TOKEN": gettext_noop(
        "the portal does not know the access token, and there is no newer one; python -m "
        "airflow_bitrix.login logs in again"
    ),
    "OVERLOAD_LIMIT": gettext_noop("the portal's operator has blocked the webhook or application"),
    "PORTAL_DELETED": gettext_noop("the portal is closed"),
    "USER_ACCESS_ERROR": gettext_noop("the user who logged in may not use the application"),
}

_BUSY = {
    FaultKind.THROTTLED: gettext_noop("the portal admits no more requests"),
    FaultKind.RESTING: gettext_noop("the portal lets this method rest"),
    FaultKind.UNREACHABLE: gettext_noop("the portal cannot be reached"),
    FaultKind.BROKEN: gettext_noop("the portal failed"),
}


def _unreadable(reply: Reply, why: str = "") -> Fault:
    kind = FaultKind.BROKEN
    if reply.status >= _FIRST_ERROR_STATUS:
        kind = _BY_STATUS.get(reply.status, FaultKind.REJECTED)
    told = {"status": str(reply.status), "why": why}
    said = gettext("HTTP status {status}, {why}", **told) if why else without_answer(reply.status, reply.body)
    return Fault(kind, PortalAnswer(text=said, status=reply.status))


def _moved(location: str) -> str:
    # Only the host: the path of the new address holds the secret.
    try:
        host = urlsplit(location).hostname
    except ValueError:
        host = None
    where = gettext("to {host}", host=host) if host else gettext("elsewhere")
    return gettext(
        "the portal redirects {where}; if it was renamed, change the host of the connection", where=where
    )
