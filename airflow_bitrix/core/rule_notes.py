"""What a plan notes of the rules that made it, so that nobody who reads it needs their code."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from airflow_bitrix.core.rule_judgement import Rule


@dataclass(frozen=True, slots=True)
class RuleNote:
    """What a plan notes of a rule.

    :param name: Its name.
    :param title: What it does, in a line.
    :param version: Of which version it was, such as ``acme-rules 1.2``; empty where nobody says.
    :param options: What tells two sets of options apart; the options themselves may be long, or secret.
    """

    name: str
    title: str
    version: str = ""
    options: str = ""


def note_of(rule: Rule, version: str) -> RuleNote:
    """Give what a plan notes of a rule; of its options half of the SHA-256 of how they are written."""
    options = {name: getattr(rule, name) for name in sorted(rule.readers())}
    mark = hashlib.sha256(repr(options).encode()).hexdigest()[:32] if options else ""
    return RuleNote(rule.name, rule.title, version, mark)
