"""What the sandbox counts, so that a test can say how a client behaved."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Stats:
    """Counts since the last reset."""

    admitted: int = 0
    refused_503: int = 0
    refused_429: int = 0
    writes: int = 0
    max_level: float = 0.0
    methods: Counter[str] = field(default_factory=Counter)
    commands_in_batches: Counter[str] = field(default_factory=Counter)
    commands_outside: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    oauth: Counter[str] = field(default_factory=Counter)
    """Questions to the OAuth server: by kind those that it answered with tokens, by error the others."""

    def as_json(self) -> dict[str, Any]:
        """The counts as a JSON object."""
        return {
            "admitted": self.admitted,
            "refused_503": self.refused_503,
            "refused_429": self.refused_429,
            "methods": dict(sorted(self.methods.items())),
            "commands_in_batches": dict(sorted(self.commands_in_batches.items())),
            "commands_outside": dict(sorted(self.commands_outside.items())),
            "writes": self.writes,
            "faults": dict(sorted(self.faults.items())),
            "oauth": dict(sorted(self.oauth.items())),
            "max_level": round(self.max_level, 3),
        }
