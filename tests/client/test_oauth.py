"""What an application's connection says, what is kept of its tokens, and what an OAuth server answers."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from airflow_bitrix.client.allowance import Unlimited
from airflow_bitrix.client.flow import Manners, call_flow, drive
from airflow_bitrix.client.kept_tokens import note_of, read_kept, read_note, text_of
from airflow_bitrix.client.logins import Renewed
from airflow_bitrix.client.oauth import (
    Application,
    Pair,
    Question,
    Refusal,
    granted,
    refused,
    server_address,
)
from airflow_bitrix.client.wire import Call, Lost, Reply
from airflow_bitrix.core.errors import AuthFailed, InvalidInput, RetryLater
from airflow_bitrix.hooks.settings import read_settings
from airflow_bitrix.login import Pasted, authorize_address, brought_back
from tests.answers import rows

PORTAL, SERVER = "https://acme.bitrix24.com", "https://oauth.bitrix24.tech"
SECRET, ACCESS, REFRESH = "s3cr3tOfTheApp1", "acc3ssT0ken1", "r3freshT0ken1"
WHO = {"client_id": "local.65f0.1", "client_secret": SECRET}
TOKENS = {"access_token": ACCESS, "refresh_token": REFRESH}
APP = Application(PORTAL, "local.65f0.1", SECRET, SERVER, Pair(ACCESS, REFRESH, SERVER))


def settings(host: str = "acme.bitrix24.com", **extra: Any) -> Any:
    fields = {name: extra.pop(name, None) for name in ("login", "password")}
    return read_settings(host=host, port=None, extra=extra, **fields)


def test_a_connection_with_a_client_id_is_an_application() -> None:
    found = settings(**WHO, **TOKENS, server_endpoint=f"{SERVER}/rest/")
    assert (found.login, found.portal) == (APP, PORTAL)
    assert settings(**WHO).login == Application(PORTAL, "local.65f0.1", SECRET)
    for secret in (SECRET, ACCESS, REFRESH):
        assert secret not in repr(found)
        assert secret in found.login.secrets()


WRONG = [
    ({**WHO, "password": "abc123"}, "password: '***' is not accepted; accepted: nothing beside"),
    ({**WHO, "login": "1"}, "login: '***' is not accepted"),
    ({"client_id": "local.1"}, "extra.client_secret: '***' is not accepted"),
    ({"client_secret": SECRET}, "extra.client_id: '***' is not accepted"),
    ({**WHO, "access_token": ACCESS}, "extra.refresh_token: '' is not accepted; accepted: both tokens"),
    ({**WHO, "refresh_token": REFRESH}, "extra.access_token: '' is not accepted"),
    ({**WHO, **TOKENS, "access_token": "a b\r\nX: y"}, r"extra.access_token: '\*\*\*' is not accepted"),
    ({**WHO, "server_endpoint": "http://oauth.bitrix.info"}, "extra.server_endpoint: 'http://oauth.bitrix"),
    ({**WHO, "server_endpoint": "https://oauth.bitrix.info/rest/x"}, "extra.server_endpoint: "),
]


@pytest.mark.parametrize(("given", "said"), WRONG)
def test_what_cannot_be_right_is_told_without_secrets(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said.replace("'***'", r"'\*\*\*'")) as caught:
        settings(**given)
    for secret in (SECRET, ACCESS, REFRESH, "abc123"):
        assert secret not in str(caught.value)


@pytest.mark.parametrize(
    "given", ["oauth.bitrix24.tech", SERVER, f"{SERVER}/", f"{SERVER}/rest/", f"{SERVER}/rest"]
)
def test_the_server_is_who_the_portal_names(given: str) -> None:
    assert server_address(given) == SERVER


def test_the_token_goes_to_the_portal_and_to_nobody_else() -> None:
    assert APP.headers_for(f"{PORTAL}/profile") == {"Authorization": f"Bearer {ACCESS}"}
    for other in (SERVER, f"{PORTAL}.evil.example/profile", "https://acme.bitrix24.co/profile"):
        assert APP.headers_for(other) == {}
        assert APP.with_secret(other) == other
    address = APP.with_secret(f"{PORTAL}/crm.lead.get")
    assert address == APP.with_secret(address) == f"{PORTAL}/rest/crm.lead.get"
    assert APP.method_of(address) == APP.method_of(f"{PORTAL}/crm.lead.get.json?id=1") == "crm.lead.get"


def test_what_is_kept_is_read_again() -> None:
    pair = Pair("newAccess1", "newRefresh1", SERVER)
    text = text_of(pair, 1.0, "worker-1")
    assert read_kept(text) == pair
    odd = ["", "x", "[]", "null", "{}", json.dumps({**json.loads(text), "access_token": "a\nb"})]
    assert [read_kept(one) for one in odd] == [None] * len(odd)


def test_each_application_keeps_its_own() -> None:
    others = [
        Application("https://b.bitrix24.com", APP.client_id, SECRET, SERVER, APP.pair),
        Application(PORTAL, "local.2", SECRET, SERVER, APP.pair),
        Application(PORTAL, APP.client_id, SECRET, SERVER, None),
    ]
    assert len({one.fingerprint for one in (APP, *others)}) == 4
    newer_secret = Application(PORTAL, APP.client_id, SECRET[::-1], SERVER, APP.pair)
    assert newer_secret.fingerprint == APP.fingerprint


def test_a_note_is_about_one_refresh_token_and_remembers_who_asked_first() -> None:
    pair, next_pair = Pair(ACCESS, REFRESH, SERVER), Pair("newAccess1", "newRefresh1", SERVER)
    first = note_of(pair, None, "here", "worker-1", 1_795_000_000.0)
    assert read_note(first.text(), pair) == first
    assert read_note(first.text(), next_pair) is None
    assert REFRESH not in first.text()
    second = note_of(pair, first, "there", "worker-2", 1_795_000_009.0)
    assert (second.place, second.host, second.at) == ("there", "worker-1", first.at)
    assert second.name != first.name
    assert second.lost() == (
        "worker-1 asked for new tokens at 2026-11-18 11:06:40 UTC, and they were lost before they were stored"
    )
    told = json.loads(first.text())
    wrong = [{**told, "at": at} for at in ("x", None, "nan", 1e300, -1)]
    odd = ["", "x", "[]", "null", "{}", *map(json.dumps, wrong)]
    assert [read_note(one, pair) for one in odd] == [None] * len(odd)


def answer(status: int = 200, /, **body: Any) -> Reply:
    return Reply(status, json.dumps(body).encode())


def test_tokens_name_the_server_that_is_asked_next() -> None:
    tokens = {"access_token": "newAccess1", "refresh_token": "newRefresh1"}
    moved = answer(**tokens, server_endpoint="https://oauth.bitrix.info/rest/")
    assert granted(moved, SERVER) == Pair("newAccess1", "newRefresh1", "https://oauth.bitrix.info")
    for odd in ("http://oauth.bitrix.info/rest/", "", None, 5):  # nobody is asked without TLS
        assert granted(answer(**tokens, server_endpoint=odd), SERVER) == Pair(
            "newAccess1", "newRefresh1", SERVER
        )


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (answer(400, error="invalid_grant"), AuthFailed, r"used up, expired or revoked .*--conn-id crm$"),
        (answer(401, error="invalid_client"), AuthFailed, "does not know the application: client_id or"),
        (answer(400, error="wrong_client"), AuthFailed, "does not know the application: client_id or"),
        (answer(200, error="PAYMENT_REQUIRED"), AuthFailed, "plan does not cover the application"),
        (answer(400, error="other", error_description="why"), AuthFailed, f"{SERVER} refuses: other: why"),
        (answer(503, error="busy"), RetryLater, f"{SERVER} gives no tokens: busy"),
        (Reply(502, b"<html>"), RetryLater, "no tokens in its answer, HTTP status 502"),
        (answer(access_token="a\r\nb", refresh_token="newRefresh1"), RetryLater, "no tokens in its answer"),
        (Lost(sent=True, reason="no answer within 15 s"), RetryLater, "no tokens: no answer within 15 s"),
    ],
)
def test_a_refusal_is_one_clear_sentence(reply: Any, kind: type[Exception], said: str) -> None:
    found = granted(reply, SERVER)
    assert isinstance(found, Refusal)
    with pytest.raises(kind, match=said):
        raise refused(found, SERVER, "crm")


EXPIRED = answer(401, error="expired_token", error_description="The access token provided has expired.")


@dataclass
class Renews:
    """Has newer tokens each time."""

    renewed: Renewed
    times: int = 0

    def mark(self) -> int:
        return 0

    def renew(self, mark: int, *, expired: bool) -> Renewed:
        assert (mark, expired) == (0, True)
        self.times += 1
        return self.renewed

    async def renew_async(self, mark: int, *, expired: bool) -> Renewed:
        return self.renew(mark, expired=expired)


def test_tokens_of_others_are_taken_more_often_than_own_ones_are_asked_for() -> None:
    """On a busy machine those that somebody else has got may expire before they are used."""
    for renewed, times in ((Renewed.TAKEN, 12), (Renewed.GOT, 3)):
        renewal, answers = Renews(renewed), iter([EXPIRED] * times + [answer(result="x")])
        manners = Manners(Unlimited(), renewal=renewal)
        found = drive(call_flow(Call("profile"), manners), lambda _, left=answers: next(left), manners)  # type: ignore[misc]
        assert (found.result, renewal.times) == ("x", times)
    renewal = Renews(Renewed.GOT)
    manners = Manners(Unlimited(), renewal=renewal)
    with pytest.raises(AuthFailed, match="are its clock and that of the OAuth server apart"):
        drive(call_flow(Call("profile"), manners), lambda _: EXPIRED, manners)
    assert renewal.times == 4


def test_a_question_is_an_address_without_secrets_to_all_but_the_socket() -> None:
    question = Question(SERVER, {"grant_type": "refresh_token", "refresh_token": REFRESH, **WHO})
    plain = f"{SERVER}/oauth/token/"
    assert question.with_secret(plain).startswith(f"{plain}?grant_type=refresh_token&refresh_token={REFRESH}")
    assert question.with_secret(f"{PORTAL}/oauth/token/") == f"{PORTAL}/oauth/token/"
    assert set(question.secrets()) == {SECRET, REFRESH}
    assert REFRESH not in repr(question)


# -- what a person brings back from a login ----------------------------------------------------------------

BACK = "code=c0de&state=st4te&domain=acme.bitrix24.com&server_domain=oauth.bitrix.info"


def test_the_address_that_a_person_pastes_names_code_and_server() -> None:
    bare = Application(PORTAL, "local.65f0.1", SECRET)
    for pasted in (f"https://example.com/done?{BACK}", f"  http://127.0.0.1:9/?{BACK}\n", BACK):
        assert brought_back(pasted, bare, "st4te") == ("c0de", "https://oauth.bitrix.info")
    assert brought_back(BACK, APP, "st4te") == ("c0de", SERVER)
    assert authorize_address(APP, "st4te") == (
        f"{PORTAL}/oauth/authorize/?client_id=local.65f0.1&response_type=code&state=st4te"
    )


def test_a_person_pastes_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"https://example.com/done?{BACK}\n\n"))
    browser = Pasted()
    assert [browser.come_back("").strip() for _ in range(3)] == [f"https://example.com/done?{BACK}", "", ""]
    assert "c0de" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("pasted", "said"),
    [
        (BACK.replace("st4te", "other"), "it belongs to another login"),
        (BACK.replace("state=st4te", ""), "it belongs to another login"),
        (BACK.replace("acme.", "evil."), "it comes from 'evil.bitrix24.com'; accepted: that of https://acme"),
        (BACK.replace("&server_domain=oauth.bitrix.info", ""), "extra.server_endpoint: '' is not accepted"),
        (BACK.replace("oauth.bitrix.info", "a/b"), "server_domain: .a/b"),
        ("https://example.com/done?error=access_denied", "address: it is not accepted, access_denied"),
        ("", "address: it is not accepted, there is no code in it"),
        ("https://[", "address: it is not accepted, there is no code in it"),
    ],
)
def test_another_address_is_refused_and_its_code_not_shown(pasted: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said.replace("?", r"\?")) as caught:
        brought_back(pasted, Application(PORTAL, "local.65f0.1", SECRET), "st4te")
    assert "c0de" not in str(caught.value)


GRANT = {**TOKENS, "server_endpoint": f"{SERVER}/rest/", "error": "", "error_description": ""}
STATUSES = st.sampled_from([200, 400, 401, 429, 500])


@pytest.mark.drawn
@given(rows(GRANT) | rows({"error": "invalid_grant", "error_description": "used up"}), STATUSES)
def test_whatever_an_oauth_server_answers_it_is_tokens_or_a_refusal(told: Any, status: int) -> None:
    found = granted(Reply(status, json.dumps(told).encode()), SERVER)
    if isinstance(found, Pair):
        assert (found.access, found.refresh) == (told["access_token"], told["refresh_token"])
    else:
        assert str(refused(found, SERVER, "crm"))
        assert found.used_up in (True, False)
