"""What is kept for all workers: the tokens of an application, and a note of who asks for the next ones.

The note is written before an OAuth server is asked. Where it is there and the next tokens are not, whoever
was to store them may have died with them. Pure functions, no input or output.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from airflow_bitrix.client.oauth import TOKEN, Pair, server_address
from airflow_bitrix.core.foreign_text import as_plain_text
from airflow_bitrix.core.languages import gettext

Part = Literal["pair", "note", "spare"]
"""What a store keeps, each apart: who is late with a note takes no tokens away. The spare is a pair of a
second login: tokens of one login lose nothing by what becomes of those of another.
"""

_LAST = 4e9
"""Unix times beyond this are none."""


def text_of(pair: Pair, made: float, host: str) -> str:
    """Write a pair down as it is kept for all workers.

    :param made: When it was got, unix time, and
    :param host: by whom: for people who look.
    """
    return json.dumps(
        {
            "access_token": pair.access,
            "refresh_token": pair.refresh,
            "server": pair.server,
            "made": round(made),
            "host": host,
        }
    )


def made_at(text: str) -> float:
    """Tell when a pair that was kept was got, unix time; 0 where that is not told."""
    try:
        return float(json.loads(text)["made"])
    except (ValueError, TypeError, KeyError, OverflowError):
        return 0.0


def read_kept(text: str) -> Pair | None:
    """Read what was kept; ``None`` where it is nothing."""
    try:
        told = json.loads(text)
        access, refresh = (str(told[name]) for name in ("access_token", "refresh_token"))
        pair = Pair(access, refresh, server_address(told["server"]))
    except (ValueError, TypeError, KeyError):
        return None
    return pair if TOKEN.fullmatch(access) and TOKEN.fullmatch(refresh) else None


@dataclass(frozen=True, slots=True)
class Note:
    """Somebody is about to use a refresh token.

    :param name: No other note's.
    :param of: What tells the refresh token; it is no secret.
    :param place: Whom the claim reaches under which it was written.
    :param host: Who asked first with this token, and
    :param at: when, unix time.
    """

    name: str
    of: str
    place: str
    host: str
    at: float

    def text(self) -> str:
        """Write it down."""
        return json.dumps(asdict(self))

    def lost(self) -> str:
        """Say what became of the tokens that were asked for."""
        when = f"{datetime.fromtimestamp(self.at, UTC):%Y-%m-%d %H:%M:%S} UTC"
        host = as_plain_text(self.host, 100)
        return gettext(
            "{host} asked for new tokens at {when}, and they were lost before they were stored",
            host=host,
            when=when,
        )


def note_of(pair: Pair, before: Note | None, place: str, host: str, at: float) -> Note:
    """Give the note of who is about to use a pair's refresh token.

    :param before: The one of who has tried the same token already, and not told what came of it.
    """
    name = secrets.token_hex(8)
    if before:
        return replace(before, name=name, place=place)
    return Note(name, _mark_of(pair), place, host, at)


def read_note(text: str, pair: Pair) -> Note | None:
    """Read a note; ``None`` where it is none, or about another refresh token than this pair's."""
    try:
        told = json.loads(text)
        name, of, place, host = (str(told[name]) for name in ("name", "of", "place", "host"))
        note = Note(name, of, place, host, float(told["at"]))
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
    return note if note.of == _mark_of(pair) and 0 <= note.at < _LAST else None


def _mark_of(pair: Pair) -> str:
    return hashlib.sha256(f"refresh {pair.refresh}".encode()).hexdigest()[:24]
