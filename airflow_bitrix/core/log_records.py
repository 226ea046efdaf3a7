"""Secrets are taken out of log records where records are made, so that it matters to no one who logs.

A filter of a logger is asked for that logger's own records alone, one of a handler for that handler's;
whoever configures logging replaces both. Every record of every logger comes from one factory, which stays.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable
from typing import Any

_UNREADABLE = "(a log record that cannot be read)"


def clean_records(clean: Callable[[str], str]) -> None:
    """Let records that are made from now on say ``clean`` of what they say. Safe to call again.

    A factory that was there before goes on making them; one that is set later is wrapped with the next call.

    :param clean: Gives a text without secrets: the same text where it holds none.
    """
    made = logging.getLogRecordFactory()
    if not isinstance(made, _CleanRecords):
        logging.setLogRecordFactory(_CleanRecords(made, clean))


class _CleanRecords:
    """Makes records as another factory does, and takes the secrets out of those that hold any."""

    def __init__(self, made: Callable[..., logging.LogRecord], clean: Callable[[str], str]) -> None:
        self._made, self._clean = made, clean

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._made(*args, **kwargs)
        try:
            self._take_out(record)
        except Exception:  # noqa: BLE001 (a line of a log ends nobody's work, and what is not read is not shown)
            record.msg, record.args, record.exc_info, record.stack_info = _UNREADABLE, None, None, None
        return record

    def _take_out(self, record: logging.LogRecord) -> None:
        message = _message(record)
        clean = self._clean(message)
        if clean != message:
            record.msg, record.args = clean, None
        if record.exc_info and record.exc_info[1]:
            trace = "".join(traceback.format_exception(record.exc_info[1]))
            shown = self._clean(trace)
            if shown != trace:
                # Some formatters look at the exception itself: it goes, and its text stands in the message.
                record.msg, record.args, record.exc_info = f"{clean}\n{shown.rstrip()}", None, None
        if record.stack_info:
            record.stack_info = self._clean(record.stack_info)


def _message(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001 (logging says so itself, and shows both parts of the line)
        return f"{record.msg!r} {record.args!r}"
