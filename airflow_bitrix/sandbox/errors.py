"""How the sandbox's REST methods end without a result."""

from __future__ import annotations

from typing import Any


class RestError(Exception):
    """An answer of the form ``{"error": code, "error_description": text}``."""

    def __init__(
        self, code: str, description: str, status: int = 400, *, time: dict[str, Any] | None = None
    ) -> None:
        super().__init__(description)
        self.code, self.description, self.status, self.time = code, description, status, time

    def body(self) -> dict[str, Any]:
        """The JSON object that the caller receives."""
        time = {"time": self.time} if self.time else {}
        return {"error": self.code, "error_description": self.description, **time}


def access_denied() -> RestError:
    """The refusal for want of rights on an owner."""
    return RestError("ACCESS_DENIED", "Access denied!", 403)


class FatalError(Exception):
    """The script dies: what was done stays done, and the caller receives no answer of the portal's."""
