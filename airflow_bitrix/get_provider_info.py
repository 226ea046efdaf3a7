"""What Airflow reads to know this provider: its connection form, modules and configuration."""

from __future__ import annotations

from typing import Any

_INTEGRATION = "Bitrix24"


def get_provider_info() -> dict[str, Any]:
    """Describe the provider in the form of Airflow's ``provider_info.schema.json``."""
    return {
        "package-name": "airflow-bitrix",
        "name": _INTEGRATION,
        "description": "Contact links of Bitrix24 CRM: scan, plan, apply and check them.",
        "integrations": [
            {
                "integration-name": _INTEGRATION,
                "external-doc-url": "https://apidocs.bitrix24.com/",
                "tags": ["service"],
            }
        ],
        "operators": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_bitrix.operators.contact_links",
                    "airflow_bitrix.operators.housekeeping",
                    "airflow_bitrix.operators.link_plans",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": [
                    "airflow_bitrix.sensors.contact_links",
                    "airflow_bitrix.sensors.records",
                ],
            }
        ],
        "triggers": [
            {
                "integration-name": _INTEGRATION,
                "python-modules": ["airflow_bitrix.triggers.records", "airflow_bitrix.triggers.waiting"],
            }
        ],
        "hooks": [
            {"integration-name": _INTEGRATION, "python-modules": ["airflow_bitrix.hooks.bitrix24"]},
        ],
        "asset-uris": [
            {
                "schemes": ["bitrix24"],
                "handler": "airflow_bitrix.assets.portals.sanitize_uri",
                "factory": "airflow_bitrix.assets.portals.create_asset",
                "to_openlineage_converter": "airflow_bitrix.assets.portals.convert_asset_to_openlineage",
            }
        ],
        "notifications": ["airflow_bitrix.notifications.bitrix24.Bitrix24Notifier"],
        "connection-types": [
            {
                "connection-type": "bitrix24",
                "hook-class-name": "airflow_bitrix.hooks.bitrix24.Bitrix24Hook",
                "hook-name": _INTEGRATION,
                "ui-field-behaviour": {
                    "hidden-fields": ["schema", "extra"],
                    "relabeling": _LABELS,
                    "placeholders": {
                        "host": "acme.bitrix24.com",
                        "login": "1",
                        "port": "443; without it Airflow's Test button may answer Bad Request",
                        "password": "the code; or the whole webhook address, with Port alone beside it",
                    },
                },
                "conn-fields": _CONN_FIELDS,
            }
        ],
        "extra-links": [
            "airflow_bitrix.links.Bitrix24ReportLink",
            "airflow_bitrix.links.Bitrix24OwnerLink",
        ],
        "config": {
            "bitrix24": {
                "description": "Settings of the airflow-bitrix provider.",
                "options": {
                    "artifacts_path": {
                        "description": (
                            "Folder for plans, journals and reports, one sub-folder per DAG run: a path, or "
                            "an object storage address that all workers reach. Empty: the folder "
                            "bitrix24 in AIRFLOW_HOME."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "s3://aws_default@bucket/bitrix24",
                        "default": "",
                    },
                    "files_path": {
                        "description": (
                            "Folders in which a form may name files: maps, lists of owners, and what "
                            "a restore reads; with commas between them. What lies under artifacts_path "
                            "may be named as well. Empty: any that the worker can read."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/opt/airflow/bitrix24-maps",
                        "default": "",
                    },
                    "artifacts_access": {
                        "description": (
                            "Who may read the folders and files that are made of a run: private, the user of "
                            "the process alone; group, its group too; umask, whom the umask lets."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "group",
                        "default": "private",
                    },
                    "pacing_path": {
                        "description": (
                            "Folder on each host through which its processes share a portal's request "
                            "allowance. Empty: a folder of this user in the system's temporary folder."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "/var/lib/airflow/bitrix24-pacing",
                        "default": "",
                    },
                    "allowance": {
                        "description": (
                            "Where a portal's request allowance is kept: file, for the processes of a host, "
                            "or redis, for all hosts. Hosts that share nothing find their share by what "
                            "the portal refuses."
                        ),
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "redis",
                        "default": "file",
                    },
                    "redis_conn_id": {
                        "description": "Connection of type redis, where allowance is redis.",
                        "version_added": "0.1.0",
                        "type": "string",
                        "example": "redis_pacing",
                        "default": "redis_default",
                    },
                    "show_names": {
                        "description": (
                            "Whether approvals, reports and their tables show owners by title, "
                            "stage and responsible person, and contacts by name. False: none is asked for, "
                            "and no file holds one."
                        ),
                        "version_added": "0.3.0",
                        "type": "boolean",
                        "example": "False",
                        "default": "True",
                    },
                    "language": {
                        "description": (
                            "What workers write for people, and what forms and DAGs say: en, English; ru, "
                            "Russian. The report tab speaks the language that is chosen in Airflow."
                        ),
                        "version_added": "0.3.0",
                        "type": "string",
                        "example": "ru",
                        "default": "en",
                    },
                    "keep_days": {
                        "description": (
                            "Days for which the housekeeping operator keeps what a run has left, where it is "
                            "not told otherwise; counted from when something was last written there."
                        ),
                        "version_added": "0.2.0",
                        "type": "integer",
                        "example": "365",
                        "default": "90",
                    },
                    "approval_deadline": {
                        "description": (
                            "Hours in which a person has to answer whether a plan may be applied, where the "
                            "approval task has no response_timeout. Then it fails, and nothing is written."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "24",
                        "default": "72",
                    },
                    "operating_limit": {
                        "description": (
                            "Seconds of operating time in ten minutes at which a method is let rest. The "
                            "documentation of Bitrix24 says that a portal refuses it above 480."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "450",
                        "default": "420",
                    },
                    "max_wait": {
                        "description": (
                            "Seconds for which a task waits on its worker until a method may be called "
                            "again. Where it takes longer, operators defer."
                        ),
                        "version_added": "0.1.0",
                        "type": "float",
                        "example": "10",
                        "default": "30",
                    },
                },
            }
        },
    }


def field_labels() -> dict[str, str]:
    """Give what the connection form calls each field, by the field's name: ``host``, ``extra.plan``."""
    return {**_LABELS, **{f"extra.{name}": str(field["label"]) for name, field in _CONN_FIELDS.items()}}


_LABELS = {"host": "Portal address", "login": "Webhook user id", "password": "Webhook code"}

_CONN_FIELDS: dict[str, Any] = {
    "client_id": {
        "label": "Application: client_id",
        "description": "In place of a webhook, a local application of the portal: with it, user id and code "
        "stay empty. Then log in once: python -m airflow_bitrix.login --conn-id …",
        "schema": {"type": ["string", "null"]},
    },
    "client_secret": {
        "label": "Application: client_secret",
        "description": "The key that the portal shows for the application.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "access_token": {
        "label": "Application: access token",
        "description": "Empty where the command logs in. Else the tokens to begin with; newer ones are "
        "kept in a Variable of Airflow, or in Redis.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "refresh_token": {
        "label": "Application: refresh token",
        "description": "The one that belongs to the access token. No other program may use it.",
        "schema": {"type": ["string", "null"], "format": "password"},
    },
    "server_endpoint": {
        "label": "Application: OAuth server",
        "description": "What the portal names as server_endpoint, such as https://oauth.bitrix.info/rest/. "
        "A login finds it by itself.",
        "schema": {"type": ["string", "null"]},
    },
    "plan": {
        "label": "Bitrix24 plan",
        "description": "Sets how many requests the portal admits: standard 2 a second after 50 at once, "
        "enterprise 5 after 250, self_hosted without limit.",
        "schema": {
            "type": ["string", "null"],
            "default": "standard",
            "enum": ["standard", "enterprise", "self_hosted"],
        },
    },
    "requests_per_second": {
        "label": "Requests per second",
        "description": "Overrides the plan. Lower it where other programs on this host ask the same portal.",
        "schema": {"type": ["number", "null"], "minimum": 0.01, "maximum": 1000},
    },
    "burst": {
        "label": "Requests at once",
        "description": "Overrides the plan: requests that the portal takes before it slows down.",
        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 10000},
    },
    "in_flight": {
        "label": "Requests in flight",
        "description": "Requests under way at the same time. Default 5.",
        "schema": {"type": ["integer", "null"], "minimum": 1, "maximum": 20},
    },
    "timeout": {
        "label": "Timeout in seconds",
        "description": "For a connection, and for each piece of an answer. Default 65.",
        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 600},
    },
    "deadline": {
        "label": "Deadline in seconds",
        "description": "For a whole request, up to the last byte of its answer. Default 180.",
        "schema": {"type": ["number", "null"], "minimum": 0.1, "maximum": 3600},
    },
    "largest_answer": {
        "label": "Largest answer in MB",
        "description": "What is larger, unpacked, is a lost answer. Default 64. A full batch of rows "
        "has 2, or some tens where they have hundreds of fields and long texts.",
        "schema": {"type": ["number", "null"], "minimum": 1, "maximum": 1000},
    },
    "verify": {
        "label": "CA bundle",
        "description": "Path of a CA bundle on the workers, for a self-hosted portal with a certificate of "
        "its own. Empty: what REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE or SSL_CERT_FILE names there, or the "
        "usual authorities.",
        "schema": {"type": ["string", "null"]},
    },
    "proxy": {
        "label": "Proxy",
        "description": "Address of a proxy, such as http://proxy.example.com:3128. Empty: that of the "
        "environment, HTTPS_PROXY, ALL_PROXY and NO_PROXY. A portal on the worker itself is reached by none.",
        "schema": {"type": ["string", "null"]},
    },
}
