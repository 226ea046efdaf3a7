"""The one place that takes secrets out of text, and out of every record of every logger.

A webhook's secret is a part of every address, so whatever prints an address prints the secret: exceptions and
lines of the HTTP libraries, error pages of proxies, a portal's own words, what people paste into the wrong
field. Our own code prints none; this module cleans what others wrote. The time that it takes grows with the
length of a text and with nothing else: no pattern tries in a second way what it has matched.
"""

from __future__ import annotations

import base64
import re
import threading

from airflow_bitrix.core.log_records import clean_records

_SHORTEST = 6
"""Signs of the shortest secret that is taken out wherever it stands; shorter ones are a part of plain words.

A webhook's code has 16 and more. A proxy's password is taken out of an address whatever its length.
"""

_HIDDEN = "***"

# A slash, a backslash or a bar, as it is or as addresses, pages and JSON write it, encoded once or often.
_SLASH = (
    r"(?:%(?:25)*+(?:2f|5c|7c)|\\(?:u00|x)(?:2f|5c|7c)"
    r"|&(?:amp;)*+(?:\#0*+(?:47|92|124)|\#x0*+(?:2f|5c|7c)|sol|bsol|vert);?+|[/\\|])"
)
_TO_THE_CODE = rf"rest{_SLASH}++(?:api{_SLASH}++)?+[0-9]++{_SLASH}++"
_WEBHOOK = re.compile(
    # Behind a slash of any kind all that follows; without one only what is as long as a code.
    rf"(?:(?<=[/\\|;])|(?<=2f)|(?<=5c)|(?<=7c))({_TO_THE_CODE})(?:(?!{_SLASH})[^\s?#\"'<>)])++"
    rf"|(?<![a-z0-9_])({_TO_THE_CODE})[a-z0-9_-]{{10,}}+",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"(://[^\s/@:\"'<>]*+:)[^\s/@\"'<>]++@")
"""A login and its password in an address, such as that of a proxy."""


class _Known:
    """The secrets that this process knows, and the patterns of all of their spellings."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._patterns: dict[bool, re.Pattern[str]] = {}
        self._lock = threading.RLock()  # whoever holds it may be interrupted by a signal whose handler logs

    def add(self, secret: str) -> None:
        with self._lock:
            if secret not in self._secrets:
                self._secrets, self._patterns = self._secrets | {secret}, {}

    def taken_out_of(self, text: str) -> str:
        escaped = any(sign in text for sign in _ESCAPES)
        pattern = self._patterns.get(escaped) or self._compiled(escaped=escaped)
        return pattern.sub(_HIDDEN, text) if pattern else text

    def _compiled(self, *, escaped: bool) -> re.Pattern[str] | None:
        with self._lock:
            if self._secrets and escaped not in self._patterns:
                self._patterns[escaped] = _pattern_of(self._secrets, escaped=escaped)
            return self._patterns.get(escaped)


_known = _Known()


def keep_secret(secret: str) -> None:
    """Take a secret out of every text that is redacted, and of every record of a logger, from now on.

    :param secret: A webhook's code or a password, as it is. One of fewer than six signs is left alone.
    """
    if len(secret) >= _SHORTEST:
        _known.add(secret)
        clean_records(redact)


def redact(text: str) -> str:
    """Replace by ``***`` in ``text``: each known secret, the secret of each webhook address, and passwords.

    A known secret goes in any case, escaped or not, whatever stands around it; of others, that which stands
    where an address of a webhook or a login has its secret.
    """
    text = _known.taken_out_of(text)
    if "rest" in text.lower():
        text = _WEBHOOK.sub(lambda found: f"{found[1] or found[2]}{_HIDDEN}", text)
    return _LOGIN.sub(rf"\1{_HIDDEN}@", text) if "://" in text else text


_ESCAPES = "%\\&"
"""What begins a sign that is escaped."""


def _pattern_of(secrets: frozenset[str], *, escaped: bool) -> re.Pattern[str]:
    """Give the pattern of all spellings of the secrets.

    :param escaped: With what addresses, pages and JSON make of them. It takes ten times as long to compile,
        and most texts hold nothing of the kind.
    """
    longest_first = sorted(secrets, key=len, reverse=True)
    spell = _signs if escaped else re.escape
    spelt = [one for secret in longest_first for one in ("".join(map(spell, secret)), *_in_base64(secret))]
    return re.compile("|".join(spelt), re.IGNORECASE)


def _signs(sign: str) -> str:
    """Give the pattern of one sign of a secret."""
    code = ord(sign)
    in_bytes = "".join(rf"%(?:25){{0,4}}+{one:02x}" for one in _in_bytes(sign))
    escaped = rf"\\u{code:04x}|\\x{code:02x}|&(?:amp;){{0,2}}+\#(?:0{{0,4}}+{code}|x0{{0,4}}+{code:x});?+"
    return rf"(?:{re.escape(sign)}|{in_bytes}|{escaped})"


def _in_base64(secret: str) -> list[str]:
    """Give what base64 makes of a secret that one or two other bytes may stand before and behind."""
    plain = _in_bytes(secret)
    found = []
    for before in range(3):
        encoded = base64.b64encode(b"\0" * before + plain).decode().rstrip("=")
        # The outermost signs hold bits of the neighbours as well.
        whole = encoded[(before * 8 + 5) // 6 : (before + len(plain)) * 8 // 6]
        found.append(re.sub(r"[+/]", lambda sign: "[+-]" if sign[0] == "+" else "[/_]", whole))
    return found


def _in_bytes(text: str) -> bytes:
    """Give it as UTF-8, and a byte that was none, such as one of an environment variable, as it was."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:
        return text.encode(errors="surrogatepass")
