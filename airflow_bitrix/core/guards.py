"""What a plan must satisfy before it may run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.redaction import redact


@dataclass(frozen=True, slots=True)
class Guards:
    """Limits that a plan carries with it; apply refuses a plan that breaks one.

    No plan may leave an owner without contacts unless one of its rules says that this may happen; that guard
    has no switch.

    :param max_changes: The most changes allowed; ``None`` for no limit.
    :param max_share: The largest share of the owners that may be changed, from 0 to 1; ``None`` for no limit.
    :param portals: Addresses of the only portals that may be changed; empty for any.
    :param population: Owners of the plan's kind on the portal, of which ``max_share`` is a share; ``None``
        where it is one of the owners read.
    """

    max_changes: int | None = None
    max_share: float | None = None
    portals: tuple[str, ...] = ()
    population: int | None = None

    def __post_init__(self) -> None:
        """Refuse a limit that cannot be one.

        :raises InvalidInput: Names the guard, its value and what is accepted.
        """
        value = self.max_changes
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 0):
            raise InvalidInput("max_changes", value, "a whole number, 0 or above, or None for no limit")
        share = self.max_share
        if share is not None and (
            not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 <= share <= 1
        ):
            raise InvalidInput("max_share", share, "a number from 0 to 1, or None for no limit")
        if not isinstance(self.portals, tuple) or not all(map(_is_address, self.portals)):
            raise InvalidInput(
                "portals", self.portals, "a list of addresses such as 'https://acme.bitrix24.com'"
            )

    def broken_by(self, *, portal: str, counts: Mapping[str, Any]) -> list[str]:
        """Give a sentence for each guard that a plan breaks.

        :param portal: Address of the portal that the plan is for.
        :param counts: The counts of its manifest.
        """
        changes, emptied = counts["changes"], counts["emptied"]
        broken = []
        if self.max_changes is not None and changes > self.max_changes:
            broken.append(f"it has {changes} changes, and max_changes allows {self.max_changes}")
        owners, which = counts["read"], "read"
        if self.population is not None:
            owners, which = self.population, "of its kind on the portal"
        if self.max_share is not None and changes > self.max_share * owners:
            share = f"{changes / owners:.1%}" if owners else "all"
            allowed = f"max_share allows {self.max_share:.1%}"
            broken.append(f"it changes {share} of the {owners} owners {which}, and {allowed}")
        if self.portals and portal.rstrip("/") not in {one.rstrip("/") for one in self.portals}:
            broken.append(f"it is for {portal}, and portals allows {', '.join(self.portals)}")
        if emptied:
            broken.append(f"it leaves {emptied} owners without contacts, and no rule says that it may")
        return broken

    def as_json(self) -> dict[str, Any]:
        """Give the guards as the manifest keeps them."""
        return {
            "max_changes": self.max_changes,
            "max_share": self.max_share,
            "portals": list(self.portals),
            "population": self.population,
        }

    @classmethod
    def from_json(cls, given: Mapping[str, Any]) -> Guards:
        """Read what :meth:`as_json` wrote."""
        # By name, so that a guard which this version does not know is an error and not left out.
        return cls(**{**given, "portals": tuple(given["portals"])})


def _is_address(portal: object) -> bool:
    """Whether something is an address; that of a webhook is a secret, which plan and approval would show."""
    return isinstance(portal, str) and portal.startswith(("https://", "http://")) and redact(portal) == portal
