"""An auth manager under which the user ``reader`` may read one DAG and no other."""

from __future__ import annotations

from typing import Any

from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import SimpleAuthManager

MINE, THEIRS = "mine", "theirs"


class PickyAuthManager(SimpleAuthManager):
    """Everybody may do everything, but ``reader`` only reads XComs of the DAG ``mine``."""

    def is_authorized_dag(
        self, *, method: Any, user: Any, access_entity: Any = None, details: Any = None
    ) -> bool:
        if user.username != "reader":
            return True
        asked = (method, access_entity.value if access_entity else None, details.id if details else None)
        return asked == ("GET", "XCOM", MINE)
