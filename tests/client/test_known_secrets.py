"""A secret that is known is taken out of each text and each record of a logger, however it is written."""

from __future__ import annotations

import base64
import html
import json
import logging
import logging.config
import sys
import threading
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any
from urllib.parse import quote

import pytest

from airflow_bitrix.client.auth import Webhook
from airflow_bitrix.client.known_secrets import keep_secrets
from airflow_bitrix.client.oauth import Application, Pair
from airflow_bitrix.core.redaction import keep_secret, redact

SECRET = "s3cr3tc0de-Of_16"
PATH = f"/rest/12/{SECRET}/profile"

pytestmark = pytest.mark.attack


def in_hex(text: str, form: str) -> str:
    return "".join(form % ord(sign) for sign in text)


SPELLINGS: dict[str, str] = {
    "alone": SECRET,
    "in a word": f"x{SECRET}x",
    "in an address": f"https://acme.bitrix24.com{PATH}",
    "between bars": f"rest|12|{SECRET}|profile",
    "between other signs": f"rest 12 '{SECRET}' profile",
    "upper case": PATH.upper(),
    "lower case": PATH.lower(),
    "no slash in front": PATH[1:],
    "as a user's id": f"/rest/{SECRET}/12/",
    "in a query": f"?auth={SECRET}&id=1",
    "slashes of JSON": json.dumps(PATH).replace("/", r"\/"),
    "escapes of JSON": PATH.replace("/", r"\u002f"),
    "escapes of JSON, all signs": in_hex(PATH, r"\u%04X"),
    "entities": PATH.replace("/", "&#47;"),
    "entities, all signs": in_hex(PATH, "&#%d;"),
    "entities in hex, all signs": in_hex(PATH, "&#x%x;"),
    "entities of entities": html.escape(in_hex(PATH, "&#%d;")),
    "percent": quote(PATH, safe=""),
    "percent, small": quote(PATH, safe="").lower(),
    "percent, twice": quote(quote(PATH, safe=""), safe=""),
    "percent, all signs": in_hex(PATH, "%%%02X"),
    "percent, all signs, twice": in_hex(PATH, "%%25%02x"),
    "repr, all signs": in_hex(PATH, r"\x%02x"),
    "base64": base64.b64encode(SECRET.encode()).decode(),
    "base64 of a login": base64.b64encode(f"12:{SECRET}".encode()).decode(),
    "base64 of an address": base64.b64encode(f"https://acme.bitrix24.com{PATH}".encode()).decode(),
    "in bytes": repr(PATH.encode()),
}


@pytest.mark.parametrize("text", SPELLINGS.values(), ids=SPELLINGS.keys())
def test_a_known_secret_goes_however_it_is_written(text: str) -> None:
    keep_secret(SECRET)
    plain = redact(f"before {text} behind")
    assert plain.startswith("before ")
    assert plain.endswith(" behind")
    assert "***" in plain
    hidden = SECRET.lower()
    for said in (plain, html.unescape(html.unescape(plain)), plain.replace("%25", "%")):
        assert hidden not in said.lower()
    for skipped in range(3):
        part = base64.b64encode(b"x" * skipped + SECRET.encode()).decode()[4:-4]
        assert part not in plain
    assert redact(plain) == plain


@pytest.mark.parametrize("text", [text for text in SPELLINGS.values() if SECRET.lower() in text.lower()])
def test_a_known_secret_goes_in_any_case(text: str) -> None:
    keep_secret(SECRET.swapcase())
    assert SECRET.lower() not in redact(text).lower()


@pytest.mark.parametrize(
    ("secret", "texts"),
    [
        ("p\udcffssw0rd", ["p\udcffssw0rd", "p%FFssw0rd"]),  # a byte of the environment that is no UTF-8
        ("p\ud800ssw0rd", ["p\ud800ssw0rd", r"p\ud800ssw0rd"]),
        ("pässw0rd", ["PÄSSW0RD", "p%c3%a4ssw0rd"]),
    ],
)
def test_a_secret_that_no_encoding_has_goes_and_other_texts_stay(secret: str, texts: list[str]) -> None:
    keep_secret(secret)
    assert [redact(text) for text in texts] == ["***"] * len(texts)
    assert redact("a line of a log, 100%") == "a line of a log, 100%"


def test_a_signal_amid_the_making_of_a_pattern_may_log_a_secret() -> None:
    """Its handler runs in the thread that makes the pattern, as a profiler does."""
    keep_secret(SECRET)
    said: list[str] = []

    def interrupt(frame: FrameType, event: str, _: Any) -> None:
        if (event, frame.f_code.co_name) == ("call", "_pattern_of"):
            sys.setprofile(None)
            said.append(redact(f"told to stop: {SECRET}"))

    def work() -> None:
        sys.setprofile(interrupt)
        said.append(redact(SECRET))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(timeout=30)
    assert said == ["told to stop: ***", "***"]


def test_longer_secrets_go_first_and_short_ones_are_no_secrets() -> None:
    for secret in ("proxy", "secret", "secret-two"):
        keep_secret(secret)
    assert redact("proxy secret-two secret") == "proxy *** ***"


def test_what_a_client_handles_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", "http://user:pass%40word1@proxy.example:3128")
    hook = Webhook("https://acme.bitrix24.com", "1", SECRET)
    assert set(keep_secrets(hook, "http://me:sesame-open@[::1]:3128")) >= {
        SECRET,
        "sesame-open",
        "pass@word1",
    }
    said = redact(f"{SECRET} sesame-open pass@word1 pass%40word1 http://a:b@c")
    assert said == "*** *** *** *** http://a:***@c"
    assert keep_secrets(hook, "http://[me:sesame@x") == keep_secrets(hook)
    application = Application(
        "https://a.example", "local.1", "app-s3cret", pair=Pair("acc3ss-1", "r3fresh-1")
    )
    keep_secrets(application)
    said = redact("client_secret=app-s3cret&refresh_token=r3fresh-1 Authorization: Bearer acc3ss-1")
    assert said == "client_secret=***&refresh_token=*** Authorization: Bearer ***"


# -- time --------------------------------------------------------------------------------------------------

REPEATED = (
    r"/ rest/ /rest/1/ /rest/1 /rest %25 25 %252f /rest% 1 a % &amp; &#0 &#x0 \u00 :// ://a: : @ ://a:b"
    f" {SECRET[:-1]} {SECRET[0]} %25252573"
).split()
BEGINNINGS = ["", "/rest", "/rest/1/", "rest%", "://", "://a:", "&#", "%", SECRET[:-1]]


def took(text: str) -> float:
    began = time.process_time()
    redact(text)
    return time.process_time() - began


@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_time_grows_with_the_length_of_a_text_alone(beginning: str) -> None:
    """Eight times the text takes eight times as long; with what runs away it would be 64 times, or no end."""
    keep_secret(SECRET)
    for part in REPEATED:
        text = beginning + part * (2_000 // len(part))
        most = 8 * 4 * max(took(text), 0.0005)
        assert min(took(text * 8) for _ in range(2)) < most, (beginning, part)


# -- records of loggers ------------------------------------------------------------------------------------


class Kept(logging.Handler):
    """Formats what it gets, as handlers do."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)
        self.lines.append(self.format(record))


@pytest.fixture
def plain_factory() -> Iterator[None]:
    before = logging.getLogRecordFactory()
    logging.setLogRecordFactory(logging.LogRecord)
    yield
    logging.setLogRecordFactory(before)


@pytest.fixture
def kept(plain_factory: None) -> Iterator[Kept]:  # noqa: ARG001 (comes first)
    keep_secret(SECRET)
    handler, root = Kept(), logging.getLogger()
    before = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


def deep() -> Exception:
    """An error that says nothing, of one that says nothing, of one that has a note."""
    first, second, third = ValueError("first"), KeyError("second"), RuntimeError("third")
    first.add_note(PATH)
    second.__context__, third.__cause__ = first, second
    return third


class Told:
    def __str__(self) -> str:
        return PATH


LINES: dict[str, Callable[[logging.Logger], None]] = {
    "message": lambda log: log.debug(f"POST {PATH}"),  # noqa: G004 (others do)
    "argument": lambda log: log.info("POST %s", PATH),
    "object": lambda log: log.warning("POST %s", Told()),
    "by name": lambda log: log.warning("POST %(path)s", {"path": PATH}),
    "not a text": lambda log: log.error(Told()),
    "error": lambda log: log.error("it broke", exc_info=ConnectionError(PATH)),
    "cause": lambda log: log.error("it broke", exc_info=deep()),
    "group": lambda log: log.error("it broke", exc_info=ExceptionGroup("x", [ValueError(PATH)])),
    "wrong arguments": lambda log: log.error("POST %d", PATH),
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES.keys())
def test_no_record_of_any_logger_carries_a_secret(line: Any, kept: Kept) -> None:
    line(logging.getLogger("of.a.library.that.nobody.has.heard.of"))
    (record,) = kept.records
    assert SECRET not in kept.lines[0] + repr(vars(record))
    assert "***" in kept.lines[0]
    if "broke" in kept.lines[0]:
        assert "Error: " in kept.lines[0]


def test_a_record_without_a_secret_stays_as_it_was(kept: Kept) -> None:
    error = ValueError("no secret")
    logging.getLogger("some").info("%d of %s", 1, "acme", exc_info=error, stack_info=True)
    (record,) = kept.records
    assert (record.msg, record.args, record.exc_info and record.exc_info[1]) == (
        "%d of %s",
        (1, "acme"),
        error,
    )
    assert record.stack_info


def test_no_line_ends_anybody_s_work(kept: Kept) -> None:
    class Broken:
        def __repr__(self) -> str:
            raise RuntimeError(PATH)

    logging.getLogger("some").info("%s", Broken())
    assert kept.lines == ["(a log record that cannot be read)"]


def test_a_factory_of_somebody_else_goes_on_making_records(plain_factory: None) -> None:  # noqa: ARG001
    class Own(logging.LogRecord):
        pass

    logging.setLogRecordFactory(Own)
    keep_secret(SECRET)
    keep_secret(SECRET)
    outer = logging.getLogRecordFactory()
    record = outer("some", logging.INFO, "", 1, PATH, None, None)
    assert isinstance(record, Own)
    assert record.getMessage() == "/rest/12/***/profile"
    keep_secret(SECRET[::-1])
    assert logging.getLogRecordFactory() is outer


@pytest.mark.usefixtures("plain_factory")
def test_nothing_is_looked_at_where_no_secret_is_known() -> None:
    assert logging.getLogRecordFactory() is logging.LogRecord
    redact(PATH)
    assert logging.getLogRecordFactory() is logging.LogRecord


def test_logging_that_is_configured_anew_keeps_the_secret(
    kept: Kept, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Airflow does when it is imported, and each process of it once more."""
    logger = {"own": {"handlers": ["out"], "level": "DEBUG", "propagate": False}}
    out = {"out": {"class": "logging.StreamHandler", "stream": "ext://sys.stdout"}}
    logging.config.dictConfig(
        {"version": 1, "disable_existing_loggers": False, "handlers": out, "loggers": logger}
    )
    logging.getLogger("own").error("POST %s", PATH)
    assert not kept.lines
    assert capsys.readouterr().out == "POST /rest/12/***/profile\n"
