"""Plain Python with all lines of all libraries: neither stream of it holds the code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.hostile import ANSWERS, hostile

pytestmark = [pytest.mark.attack, pytest.mark.slow]
CODE, PASSWORD = "s3cr3tWebhookCode42", "open-sesame-1001"
PROGRAM = Path(__file__).with_name("plain_client.py")


LOGINS = pytest.mark.parametrize("login", ["/rest/1/{}/", "#{}"], ids=["webhook", "application"])


def told_by(portal: str, login: str, proxy: str = "") -> str:
    """Give what the program writes, and see that it came to its end."""
    without = {name: value for name, value in os.environ.items() if "proxy" not in name.lower()}
    done = subprocess.run(
        [sys.executable, "-X", "dev", str(PROGRAM), portal + login.format(CODE), proxy],
        env={**without, "PYTHONPATH": str(PROGRAM.parents[2])},
        capture_output=True,
        check=False,
    )
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert done.returncode == 0, said
    assert len(re.findall("^(Lost|Reply)", said, re.MULTILINE)) == 3, said
    return said


@LOGINS
@pytest.mark.parametrize("answer", ["no header", "status line", "reason"])
def test_no_stream_of_a_program_holds_the_code(answer: str, login: str) -> None:
    with hostile(ANSWERS[answer]) as port:
        said = told_by(f"http://127.0.0.1:{port}", login)
    assert "***" in said
    assert CODE.lower() not in said.lower()
    assert CODE[::-1].lower() not in said.lower()


@LOGINS
def test_nor_that_of_one_behind_a_proxy_that_refuses(login: str) -> None:
    with hostile(b"HTTP/1.1 403 no %path\r\n\r\n") as port:
        said = told_by("https://acme.bitrix24.com", login, f"http://user:{PASSWORD}@127.0.0.1:{port}")
    assert "the proxy cannot be reached or refuses" in said
    assert CODE.lower() not in said.lower()
    assert PASSWORD not in said
