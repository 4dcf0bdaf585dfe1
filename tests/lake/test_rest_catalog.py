"""CATALOG_URI as a REST catalog: every step against Iceberg's own server, with tables in a bucket."""

import json
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from batch.lake.catalog import Catalog
from batch.lake.config import LakeConfig
from batch.lake.s3_server import S3Server
from batch.lake.session import spark_errors
from stream.errors import CatalogRefusedError, CatalogUnreachableError, SettingsError
from tests.support.program import Program

CREDENTIAL = "ana:do-not-print-me"


class Answering(ThreadingHTTPServer):
    """A server that gives one answer to everything.

    Args:
        status: Of HTTP.
    """

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status = status
        self.uri = f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_GET(self) -> None:
        """Refuse in the words of the protocol, which are others where a token is asked for."""
        error: object = {"message": "not today", "type": "Said", "code": self.server.status}
        content = json.dumps({"error": "invalid_client" if "oauth" in self.path else error}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET  # noqa: N815

    def log_message(self, *_words: object) -> None:
        """Say nothing."""


@contextmanager
def answering(status: int) -> Iterator[str]:
    """Run such a server; give its URL."""
    with Answering(status) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.uri
        server.shutdown()


def config_of(uri: str, **properties: str) -> LakeConfig:
    return LakeConfig(SecretStr(uri), "s3://tests/none", catalog_properties=properties)


@pytest.mark.parametrize("properties", [{}, {"credential": CREDENTIAL}], ids=["open", "with an account"])
@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_what_a_catalog_refuses(status: int, properties: dict[str, str]) -> None:
    """A person must act: an account, a right, a warehouse."""
    with answering(status) as uri, pytest.raises(CatalogRefusedError, match="refuses: ") as found:
        Catalog(config_of(uri, **properties)).table("raw.documents")
    assert 2 == found.value.exit_code
    assert CREDENTIAL not in str(found.value)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_what_a_catalog_may_do_later(status: int) -> None:
    """Trying again may help."""
    with answering(status) as uri, pytest.raises(CatalogUnreachableError) as found:
        Catalog(config_of(uri)).table("raw.documents")
    assert 1 == found.value.exit_code


def test_a_catalog_that_is_not_there() -> None:
    """As one that is being started again."""
    with answering(200) as uri:
        pass
    with pytest.raises(CatalogUnreachableError, match="does not answer"):
        Catalog(config_of(uri)).table("raw.documents")


def test_signing_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is named."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    signed = {"rest.sigv4-enabled": "true", "rest.signing-region": "us-east-1"}
    with answering(200) as uri, pytest.raises(SettingsError, match="needs the package boto3"):
        Catalog(config_of(uri, **signed)).table("raw.documents")


@pytest.mark.parametrize(("status", "code"), [(401, 2), (503, 1)], ids=["refused", "away"])
def test_a_command_says_so(
    status: int, code: int, tmp_path: Path, bucket_url: str, s3_server: S3Server
) -> None:
    """In one sentence, with the exit code for it."""
    with answering(status) as uri:
        settings = {"WAREHOUSE": "iceberg", "CATALOG_URI": uri, "DATA_URL": bucket_url}
        program = Program(tmp_path, **settings, **s3_server.environment())
        said = program.done("load", code=code)
    assert "the catalog of the Iceberg tables" in said
    assert "Traceback" not in said


def test_spark_is_refused(base: Any) -> None:
    """The same error where Spark is the first to ask."""
    with answering(401) as uri:
        session = base.newSession()
        for name, value in config_of(uri).catalog_settings().items():
            session.conf.set(name, value)
        with pytest.raises(CatalogRefusedError, match="NotAuthorized"), spark_errors("look"):
            session.sql("show namespaces in lake").collect()
