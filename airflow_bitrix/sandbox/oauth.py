"""The OAuth server of the sandbox: codes, and tokens that follow one another. No HTTP.

After a refresh the refresh token is used up, and so is the access token that came with it; a switch lets it
get tokens once more for a while, in the place of those that it got first.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from airflow_bitrix.sandbox.errors import RestError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow_bitrix.sandbox.clock import Clock
    from airflow_bitrix.sandbox.settings import Switches
    from airflow_bitrix.sandbox.stats import Stats

CODE_SECONDS = 30.0
_TOKEN_BYTES = 35
_UNAUTHORIZED = 401


@dataclass
class _Grant:
    """A pair of tokens; what is used up stays known, as it is refused in other words than a stranger's.

    :param expires: When its access token expires, by the OAuth server's clock.
    :param refresh_expires: Likewise its refresh token.
    :param used_at: When its refresh token was first used, or the pair was taken back.
    :param next: The pair that it got.
    """

    access: str
    refresh: str
    expires: float
    refresh_expires: float
    used_at: float | None = None
    next: _Grant | None = None


def _token() -> str:
    return secrets.token_hex(_TOKEN_BYTES)


def _is_good(grant: _Grant, switches: Switches, now: float) -> bool:
    """Whether a refresh token gets tokens: for the first time, or once more."""
    if grant.used_at is None:
        return True
    replaced = grant.next
    is_late = now >= grant.used_at + switches.reuse_seconds
    return replaced is not None and replaced.used_at is None and not is_late


def _told(grant: _Grant, switches: Switches) -> dict[str, Any]:
    return {
        "access_token": grant.access,
        "expires": int(grant.expires),
        "expires_in": int(switches.access_seconds),
        "scope": ",".join(switches.scope),
        "member_id": "a223c6b3710f85df22e9377d6c4f7553",
        "status": "L",
        "refresh_token": grant.refresh,
    }


class OAuthServer:
    """An OAuth server with one application.

    :param clock: The portal's clock; ``clocks_apart`` of the switches is how far the server's is behind it.
    """

    def __init__(self, clock: Clock, client_id: str, client_secret: str) -> None:
        self._clock = clock
        self.client_id, self.client_secret = client_id, client_secret
        self._codes: dict[str, float] = {}
        self._by_refresh: dict[str, _Grant] = {}
        self._by_access: dict[str, _Grant] = {}

    def code(self, client_id: str, switches: Switches) -> str:
        """Give the code that a person brings back from a login.

        :raises RestError: There is no such application.
        """
        if client_id != self.client_id or switches.application != "installed":
            raise RestError("invalid_client", "Unable to find application")
        code = _token()
        self._codes[code] = self._now(switches) + CODE_SECONDS
        return code

    def tokens(self, asked: Mapping[str, Any], switches: Switches, stats: Stats) -> dict[str, Any]:
        """Exchange a code or a refresh token for the next pair.

        :raises RestError: It does not.
        """
        try:
            pair = self._tokens(asked, switches)
        except RestError as error:
            stats.oauth[error.code] += 1
            raise
        stats.oauth[str(asked.get("grant_type"))] += 1
        return pair

    def _tokens(self, asked: Mapping[str, Any], switches: Switches) -> dict[str, Any]:
        grant_type, now = asked.get("grant_type"), self._now(switches)
        if grant_type not in ("authorization_code", "refresh_token"):
            raise RestError("invalid_request", "Invalid grant_type parameter or parameter missing")
        known = asked.get("client_id"), asked.get("client_secret")
        if known != (self.client_id, self.client_secret) or switches.application == "revoked":
            raise RestError("invalid_client", "The client credentials are invalid", _UNAUTHORIZED)
        if switches.application == "unpaid":
            raise RestError("PAYMENT_REQUIRED", "Payment required")
        if grant_type == "authorization_code":
            if self._codes.pop(str(asked.get("code")), now) <= now:
                raise RestError("invalid_grant", "Authorization code is wrong or has expired")
            return _told(self._grant(switches, now), switches)
        old = self._by_refresh.get(str(asked.get("refresh_token")))
        if old is None or old.refresh_expires <= now or not _is_good(old, switches, now):
            raise RestError("invalid_grant", "Refresh token is wrong or has expired")
        old.used_at = now if old.used_at is None else old.used_at
        if old.next:
            old.next.used_at = now
        old.next = self._grant(switches, now)
        return {**_told(old.next, switches), "user_id": 1}

    def _grant(self, switches: Switches, now: float) -> _Grant:
        grant = _Grant(_token(), _token(), now + switches.access_seconds, now + switches.refresh_seconds)
        self._by_access[grant.access] = self._by_refresh[grant.refresh] = grant
        return grant

    def check(self, token: str, switches: Switches) -> None:
        """Let the bearer of a token in.

        :raises RestError: The token is none of ours, used up or expired; or the application is gone.
        """
        if switches.application != "installed":
            raise RestError("APPLICATION_NOT_FOUND", "Application not found", _UNAUTHORIZED)
        grant = self._by_access.get(token)
        if grant is None or grant.used_at is not None:
            raise RestError("invalid_token", "Unable to get application by token", _UNAUTHORIZED)
        if grant.expires <= self._clock.time():
            raise RestError("expired_token", "The access token provided has expired.", _UNAUTHORIZED)

    def _now(self, switches: Switches) -> float:
        return self._clock.time() - switches.clocks_apart
