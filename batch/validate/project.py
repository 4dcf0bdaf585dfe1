"""The project of Great Expectations, made of the suites.

Its files lie in `<DATA_DIR>/gx`, beside results and Data Docs.
"""

import json
import uuid
from typing import Any

from batch.validate.engine import URL_SCHEME
from batch.validate.rules import Rule, Suite
from batch.validate.suites import SUITES

CHECKPOINT = "analytics_checkpoint"
DATA_DOCS_FOLDER = "uncommitted/data_docs/local_site"
RESULTS_FOLDER = "uncommitted/validations"
VARIABLES_FILE = "uncommitted/config_variables.yml"
EXAMPLES = 5
"""Rows that break a rule and are shown in the report."""

_DATASOURCE = "warehouse"
_BATCH = "whole_table"
_NAMESPACE = uuid.UUID("6f6d2c0e-6a0b-4d2c-9f51-1f2f3d1c9b11")


def project_files() -> dict[str, str]:
    """Return the content of every file, by its path in the project."""
    files = {
        "great_expectations.yml": _configuration(),
        f"checkpoints/{CHECKPOINT}.json": _json(_checkpoint()),
    }
    for suite in SUITES:
        files[f"expectations/{suite.name}.json"] = _json(_suite(suite))
        files[f"validation_definitions/{suite.layer}.json"] = _json(_validation(suite))
    return files


def variables_file(url: str) -> str:
    """Return the file that says which warehouse is meant; JSON is YAML, too."""
    return _json({"warehouse_url": url})


def warehouse_url(warehouse: str, *, threads: int | None, memory_limit: str) -> str:
    """Return the URL of a DuckDB file, with settings of DuckDB."""
    options = {"access_mode": "read_only", "memory_limit": memory_limit}
    if threads is not None:
        options["threads"] = str(threads)
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return f"{URL_SCHEME}:///{warehouse}?{query}"


def _id(*names: str) -> str:
    """Return an id that is the same each time the files are made."""
    return str(uuid.uuid5(_NAMESPACE, "/".join(names)))


def _asset_name(suite: Suite) -> str:
    return f"{suite.schema}.{suite.table}"


def _suite(suite: Suite) -> dict[str, Any]:
    return {
        "expectations": [_expectation(suite, rule) for rule in suite.rules],
        "id": _id(suite.name),
        "meta": {},
        "name": suite.name,
        "notes": None,
    }


def _expectation(suite: Suite, rule: Rule) -> dict[str, Any]:
    return {
        "description": rule.description,
        "id": _id(suite.name, rule.name),
        "kwargs": dict(rule.arguments),
        "meta": {"rule": rule.name},
        "notes": rule.fix,
        "severity": rule.severity,
        "type": rule.type,
    }


def _validation(suite: Suite) -> dict[str, Any]:
    asset = _asset_name(suite)
    return {
        "data": {
            "asset": {"id": _id(_DATASOURCE, asset), "name": asset},
            "batch_definition": {"id": _id(_DATASOURCE, asset, _BATCH), "name": _BATCH},
            "datasource": {"id": _id(_DATASOURCE), "name": _DATASOURCE},
        },
        "id": _id("validation", suite.layer),
        "name": suite.layer,
        "suite": {"id": _id(suite.name), "name": suite.name},
    }


def _checkpoint() -> dict[str, Any]:
    return {
        "actions": [{"name": "update_data_docs", "site_names": [], "type": "update_data_docs"}],
        "id": _id(CHECKPOINT),
        "name": CHECKPOINT,
        "result_format": {"partial_unexpected_count": EXAMPLES, "result_format": "SUMMARY"},
        "validation_definitions": [
            {"id": _id("validation", suite.layer), "name": suite.layer} for suite in SUITES
        ],
    }


def _configuration() -> str:
    assets = {
        _asset_name(suite): {
            "type": "table",
            "id": _id(_DATASOURCE, _asset_name(suite)),
            "table_name": suite.table,
            "schema_name": suite.schema,
            "batch_metadata": {},
            "batch_definitions": {
                _BATCH: {"id": _id(_DATASOURCE, _asset_name(suite), _BATCH), "partitioner": None}
            },
        }
        for suite in SUITES
    }
    return _json(
        {
            "config_version": 4.0,
            "config_variables_file_path": VARIABLES_FILE,
            "analytics_enabled": False,
            "data_context_id": _id("context"),
            "progress_bars": {"globally": False},
            "stores": {
                name: {
                    "class_name": kind,
                    "store_backend": {
                        "class_name": "TupleFilesystemStoreBackend",
                        "base_directory": folder,
                        "suppress_store_backend_id": True,
                    },
                }
                for name, kind, folder in (
                    ("expectations_store", "ExpectationsStore", "expectations/"),
                    ("validation_results_store", "ValidationResultsStore", f"{RESULTS_FOLDER}/"),
                    ("checkpoint_store", "CheckpointStore", "checkpoints/"),
                    ("validation_definition_store", "ValidationDefinitionStore", "validation_definitions/"),
                )
            },
            "expectations_store_name": "expectations_store",
            "validation_results_store_name": "validation_results_store",
            "checkpoint_store_name": "checkpoint_store",
            "data_docs_sites": {
                "local_site": {
                    "class_name": "SiteBuilder",
                    "show_how_to_buttons": False,
                    "store_backend": {
                        "class_name": "TupleFilesystemStoreBackend",
                        "base_directory": f"{DATA_DOCS_FOLDER}/",
                    },
                    "site_index_builder": {"class_name": "DefaultSiteIndexBuilder"},
                }
            },
            "fluent_datasources": {
                _DATASOURCE: {
                    "type": "sql",
                    "id": _id(_DATASOURCE),
                    "connection_string": "${warehouse_url}",
                    "create_temp_table": False,
                    "assets": assets,
                }
            },
        }
    )


def _json(content: object) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
