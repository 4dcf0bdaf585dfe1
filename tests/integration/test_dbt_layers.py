"""What may read what in the dbt project, and what every model has, by dbt's manifest."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from batch import shipped
from tests.support.marts import MartsWarehouse

pytestmark = pytest.mark.integration

MODELS = shipped.dbt_project() / "models"

READS = {
    "base": {"raw", "base", "seeds"},
    "staging": {"base", "seeds"},
    "intermediate": {"staging", "intermediate", "seeds"},
    "marts": {"base", "staging", "intermediate", "marts", "seeds"},
    "aggregates": {"base", "staging", "intermediate", "marts", "aggregates", "seeds"},
}
"""Layers that a model of each layer may read."""


@pytest.fixture(scope="module")
def manifest(dbt_artifacts: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return dbt's manifest of the project."""
    warehouse = MartsWarehouse(tmp_path_factory.mktemp("parsed"), artifacts=dbt_artifacts)
    project = warehouse.project
    project.invoke(project.arguments("parse"))
    content: dict[str, Any] = json.loads((project.target_dir / "manifest.json").read_text())
    return content


def models(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]


def layer(node: Mapping[str, Any]) -> str:
    if node["resource_type"] != "model":
        return "raw" if node["resource_type"] == "source" else "seeds"
    return str(Path(node["original_file_path"]).parent.name)


def test_layers_read_downwards(manifest: dict[str, Any]) -> None:
    """Nothing in intermediate reads a mart, staging reads base models only, and these alone the source."""
    nodes = manifest["nodes"] | manifest["sources"]
    read = [
        (node["name"], nodes[upstream]["name"])
        for node in models(manifest)
        for upstream in node["depends_on"]["nodes"]
        if layer(nodes[upstream]) not in READS[layer(node)]
    ]
    assert [] == read


def test_every_model_has_a_key(manifest: dict[str, Any]) -> None:
    """A column, or several, tested to be no one else's and never null."""
    with_key = {
        node["attached_node"]
        for node in manifest["nodes"].values()
        if node["resource_type"] == "test" and (node.get("test_metadata") or {}).get("name") == "key"
    }
    assert [] == [node["name"] for node in models(manifest) if node["unique_id"] not in with_key]


def texts() -> Iterator[str]:
    """Yield the text of every described column, as the YAML has it."""
    for path in [*MODELS.rglob("_*.yml"), *(shipped.dbt_project() / "seeds").glob("*.yml")]:
        content = yaml.safe_load(path.read_text())
        described = [*content.get("models", ()), *content.get("seeds", ())]
        yield from (column["description"] for node in described for column in node.get("columns", ()))


def test_a_text_is_written_once() -> None:
    """What several columns share is a doc block, and every doc block is used."""
    count = Counter(texts())
    assert [] == [text for text, times in count.items() if times > 1 and not text.startswith("{{ doc(")]
    used = {name for text in count for name in re.findall(r"doc\(\"(\w+)\"\)", text)}
    blocks = [
        name for path in MODELS.rglob("*.md") for name in re.findall(r"{% docs (\w+) %}", path.read_text())
    ]
    assert sorted(used) == sorted(blocks)
