"""What a plan must satisfy before it may run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from airflow_bitrix.core.errors import InvalidInput
from airflow_bitrix.core.languages import gettext, gettext_noop, percent
from airflow_bitrix.core.redaction import redact

_OF_THOSE_READ = gettext_noop(
    "it changes {share} of the {owners} owners read, and max_share allows {max_share}"
)
_OF_ALL = gettext_noop(
    "it changes {share} of the {owners} owners of its kind on the portal, and max_share allows {max_share}"
)


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
            raise InvalidInput(
                "max_changes", value, gettext("a whole number, 0 or above, or None for no limit")
            )
        share = self.max_share
        if share is not None and (
            not isinstance(share, (int, float)) or isinstance(share, bool) or not 0 <= share <= 1
        ):
            raise InvalidInput("max_share", share, gettext("a number from 0 to 1, or None for no limit"))
        if not isinstance(self.portals, tuple) or not all(map(_is_address, self.portals)):
            raise InvalidInput(
                "portals", self.portals, gettext("a list of addresses such as 'https://acme.bitrix24.com'")
            )

    def broken_by(self, *, portal: str, counts: Mapping[str, Any]) -> list[str]:
        """Give a sentence for each guard that a plan breaks.

        :param portal: Address of the portal that the plan is for.
        :param counts: The counts of its manifest.
        """
        changes, emptied = counts["changes"], counts["emptied"]
        broken = []
        if self.max_changes is not None and changes > self.max_changes:
            broken.append(
                gettext(
                    "it has {changes} changes, and max_changes allows {max_changes}",
                    changes=changes,
                    max_changes=self.max_changes,
                )
            )
        owners = counts["read"] if self.population is None else self.population
        if self.max_share is not None and changes > self.max_share * owners:
            broken.append(
                gettext(
                    _OF_THOSE_READ if self.population is None else _OF_ALL,
                    share=percent(changes / owners) if owners else gettext("all"),
                    owners=owners,
                    max_share=percent(self.max_share),
                )
            )
        if self.portals and portal.rstrip("/") not in {one.rstrip("/") for one in self.portals}:
            broken.append(
                gettext(
                    "it is for {portal}, and portals allows {portals}",
                    portal=portal,
                    portals=", ".join(self.portals),
                )
            )
        if emptied:
            broken.append(
                gettext(
                    "it leaves {emptied} owners without contacts, and no rule says that it may",
                    emptied=emptied,
                )
            )
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
