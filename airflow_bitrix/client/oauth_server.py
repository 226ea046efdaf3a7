"""Asking an OAuth server for tokens: the question is seen by the socket alone, as a webhook's secret is."""

from __future__ import annotations

from dataclasses import dataclass, field

import requests
from requests.adapters import HTTPAdapter

from airflow_bitrix.client.bodies import ENCODINGS
from airflow_bitrix.client.deadlines import own_connections
from airflow_bitrix.client.oauth import Application, Pair, Question, Refusal, granted
from airflow_bitrix.client.transport import send_once

SECONDS = 15.0
"""How long an OAuth server is waited for."""

_LARGEST_ANSWER = 1_000_000


@dataclass(frozen=True, slots=True)
class OAuthServer:
    """An OAuth server, as an application asks it.

    :param address: ``https://oauth.bitrix.info``.
    :param verify: ``True``, or the path of a CA bundle.
    :param proxy: Address of a proxy, empty for none.
    """

    address: str
    verify: bool | str = True
    proxy: str = field(default="", repr=False)

    def refresh(self, application: Application, refresh_token: str) -> Pair | Refusal:
        """Exchange a refresh token for the next pair; it is used up then, and so is its access token."""
        return self._ask(application, {"grant_type": "refresh_token", "refresh_token": refresh_token})

    def exchange(self, application: Application, code: str) -> Pair | Refusal:
        """Exchange the code of a login for the first pair."""
        return self._ask(application, {"grant_type": "authorization_code", "code": code})

    def _ask(self, application: Application, grant: dict[str, str]) -> Pair | Refusal:
        who = {"client_id": application.client_id, "client_secret": application.client_secret}
        question = Question(self.address, {**grant, **who})
        with requests.Session() as session:
            session.trust_env = False
            session.verify = self.verify
            session.proxies = {"http": self.proxy, "https": self.proxy} if self.proxy else {}
            for adapter in session.adapters.values():
                if isinstance(adapter, HTTPAdapter):
                    own_connections(adapter, question, 1, self.proxy)
            headers = {"Accept": "application/json", "Accept-Encoding": ENCODINGS}
            asked = requests.Request("GET", f"{self.address}{question.address_path}", headers=headers)
            prepared = session.prepare_request(asked)
            reply, _ = send_once(session, prepared, SECONDS, SECONDS, _LARGEST_ANSWER)
        return granted(reply, self.address)
