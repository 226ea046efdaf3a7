"""How the sandbox's REST methods end without a result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Mapping


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


REFUSALS: Final[Mapping[str, tuple[str, str, int, int]]] = {
    "revoked": ("INVALID_CREDENTIALS", "Invalid request credentials", 403, 401),
    "overload": ("OVERLOAD_LIMIT", "REST API is blocked due to overload.", 503, 401),
    "no_subscription": ("ACCESS_DENIED", "REST is available only by subscription.", 403, 401),
    "portal_deleted": ("PORTAL_DELETED", "Portal was deleted", 500, 403),
    "no_user": ("authorization_error", "Unable to authorize user", 401, 401),
}
"""Why a portal takes no request at all: code, text, and the status as documented and as in the source."""


class FatalError(Exception):
    """The script dies: what was done stays done, and the caller receives no answer of the portal's."""
