"""Reading and checking the fields of a ``bitrix24`` connection, and what the environment adds to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from airflow_bitrix.client import oauth
from airflow_bitrix.client.auth import webhook
from airflow_bitrix.client.bodies import MOST_BYTES
from airflow_bitrix.client.logins import Login
from airflow_bitrix.client.pacing import PLANS, Bucket
from airflow_bitrix.client.proxies import bundle_of, proxy_of
from airflow_bitrix.client.transport import DEADLINE
from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop

DEFAULT_TIMEOUT = 65.0
"""Seconds; the cloud cuts a request off after 60, and its answer should be waited for."""

DEFAULT_IN_FLIGHT = 5

EXTRAS = (
    "plan",
    "requests_per_second",
    "burst",
    "in_flight",
    "timeout",
    "deadline",
    "largest_answer",
    "verify",
    "proxy",
    *oauth.FIELDS,
)

_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class Settings:
    """What a connection says.

    :param login: The portal, and how to get in: a webhook, or an application with tokens.
    :param bucket: The portal's request bucket, ``None`` for a portal without one.
    :param in_flight: Requests under way at once.
    :param timeout: Seconds to wait for a connection, and for each piece of an answer.
    :param deadline: Seconds in which a request has to be over.
    :param largest_answer: Bytes that an answer may have, unpacked.
    :param verify: ``True``, or the path of a CA bundle.
    :param proxy: Address of a proxy, empty for none.
    """

    login: Login
    bucket: Bucket | None
    in_flight: int = DEFAULT_IN_FLIGHT
    timeout: float = DEFAULT_TIMEOUT
    deadline: float = DEADLINE
    largest_answer: int = MOST_BYTES
    verify: bool | str = True
    proxy: str = field(default="", repr=False)

    @property
    def portal(self) -> str:
        """The portal's address, without a closing slash."""
        return self.login.portal


def read_settings(
    *, host: str | None, login: object, password: object, port: int | None, extra: Mapping[str, Any]
) -> Settings:
    """Check a connection's fields and give what they say.

    :raises InvalidInput: Names the field, its value unless it is a secret, and what is accepted.
    """
    given = {key: value for key, value in extra.items() if value not in (None, "")}
    for key in given:
        if key not in EXTRAS:
            raise InvalidInput("extra", key, ", ".join(EXTRAS))
    told = _login(host, login, password, port, given)
    return Settings(
        login=told,
        bucket=_bucket(given),
        in_flight=int(_number(given, "in_flight", DEFAULT_IN_FLIGHT, least=1, most=20, whole=True)),
        timeout=_number(given, "timeout", DEFAULT_TIMEOUT, least=1, most=600),
        deadline=_number(given, "deadline", DEADLINE, least=0.1, most=3600),
        largest_answer=int(_number(given, "largest_answer", MOST_BYTES / _MB, least=1, most=1000) * _MB),
        verify=bundle_of(told.portal, given.get("verify", True)),
        proxy=proxy_of(told.portal, given.get("proxy", "")),
    )


def _login(
    host: str | None, login: object, password: object, port: int | None, given: Mapping[str, Any]
) -> Login:
    if any(name in given for name in oauth.FIELDS):
        return oauth.application(host=host, port=port, login=login, password=password, given=given)
    return webhook(host=host, login=login, password=password, port=port)


def _bucket(given: Mapping[str, Any]) -> Bucket | None:
    plan = given.get("plan", "standard")
    if plan not in PLANS:
        raise InvalidInput("extra.plan", plan, " or ".join(repr(name) for name in PLANS))
    standard = PLANS[plan]
    if standard is None and not {"requests_per_second", "burst"} & given.keys():
        return None
    base = standard or Bucket(rate=1000, burst=1000)
    return replace(
        base,
        rate=_number(given, "requests_per_second", base.rate, least=0.01, most=1000),
        burst=_number(given, "burst", base.burst, least=1, most=10000),
    )


_ANY = gettext_noop("a number from {least} to {most}")
_WHOLE = gettext_noop("a whole number from {least} to {most}")


def _number(
    given: Mapping[str, Any], name: str, default: float, *, least: float, most: float, whole: bool = False
) -> float:
    value = given.get(name, default)
    accepted = gettext(_WHOLE if whole else _ANY, least=f"{least:g}", most=f"{most:g}")
    try:
        # Connections from a URI carry every extra as text.
        number = (
            float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else None
        )
    except ValueError:
        number = None
    if number is None or not least <= number <= most or (whole and not number.is_integer()):
        raise InvalidInput(f"extra.{name}", value, accepted)
    return number
