"""The description of the models, as a site that needs no network."""

import re
import threading
import urllib.request
from pathlib import Path

import pytest

from batch.transform.docs import generate_docs, serving_docs
from stream.errors import SettingsError, StepFailedError
from tests.support.marts import MARTS, MartsWarehouse

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def index(sample_marts: MartsWarehouse) -> Path:
    """Return the site of the sample's marts."""
    return generate_docs(sample_marts.project, lease=sample_marts.warehouse.lock.held(timeout_seconds=5))


def test_every_mart_and_column_is_described(sample_marts: MartsWarehouse, index: Path) -> None:
    """The site is one file, made from the warehouse, and holds every model; it can be fetched."""
    text = index.read_text()
    assert [] == [mart for mart in MARTS if f"model.claude_analytics.{mart}" not in text]
    with serving_docs(index, port=0) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            for path in ("", "any/path", "../manifest.json"):
                url = f"http://127.0.0.1:{server.server_port}/{path}"
                with urllib.request.urlopen(url, timeout=60) as answer:
                    assert answer.headers["Content-Type"].startswith("text/html")
                    assert text == answer.read().decode()
        finally:
            server.shutdown()
            thread.join()
    assert [] == sample_marts.wrongly_described()


def test_the_site_loads_nothing_from_elsewhere(index: Path) -> None:
    """Scripts and styles are inside: a machine without a network shows all of it."""
    loaded = re.findall(r"<(?:script|link|img)[^>]+(?:src|href)=[\"'](https?://[^\"']+)", index.read_text())
    assert [] == loaded


def test_no_warehouse_to_describe(tmp_path: Path) -> None:
    """The message says what to run first."""
    warehouse = MartsWarehouse(tmp_path)
    with pytest.raises(StepFailedError, match="there is no warehouse"):
        generate_docs(warehouse.project, lease=warehouse.warehouse.lock.held(timeout_seconds=5))


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    """The message names the address."""
    index = tmp_path / "static_index.html"
    index.write_text("x")
    with (
        serving_docs(index, port=0) as server,
        pytest.raises(SettingsError, match=f"cannot serve on `127.0.0.1:{server.server_port}`"),
        serving_docs(index, port=server.server_port),
    ):
        pass
