"""The way to MongoDB: an account that may read one collection and nothing else, TLS, and certificates."""

import json
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from pymongo import MongoClient
from pymongo.errors import OperationFailure

from batch.doctor.examine import Doctor
from batch.mongod.replica_set import EmbeddedMongo
from batch.mongod.server import MongodOptions
from stream.clock import utc_now
from stream.errors import AccessDeniedError, SettingsError, SourceUnreachableError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import LandingZone
from stream.settings import DataSettings, MongoSettings
from tests.support.backfilling import BackfillRunner
from tests.support.certificates import Authority, client_subject
from tests.support.guarding import guarded_mongo
from tests.support.paths import ROOT
from tests.support.streaming import StreamRunner, make_worker
from tests.support.verifying import verifier_of

pytestmark = pytest.mark.integration

DEPLOY = ROOT / "deploy" / "mongo"
GRANTS = json.loads((DEPLOY / "least-privilege.json").read_text())
Client = MongoClient[dict[str, Any]]


@dataclass(frozen=True)
class Guarded:
    """A server with access control.

    Attributes:
        uri: Without an account.
        password: Of `admin` (root) and of the least-privileged account.
    """

    uri: str
    password: str

    def settings(self, user: str = "claude_analytics") -> MongoSettings:
        """Name the server with an account."""
        account = f"{user}:{quote(self.password, safe='')}"
        return MongoSettings(MONGO_URI=self.uri.replace("mongodb://", f"mongodb://{account}@"))

    def client(self, user: str = "claude_analytics") -> Client:
        """Talk to the server with an account."""
        return MongoClient(self.uri, username=user, password=self.password)


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("guarded")
    server = f"p@ss/{uuid.uuid4().hex}"
    with guarded_mongo(folder, user="admin", password=server) as mongo:
        found = Guarded(mongo.uri, server)
        with found.client("admin") as client:
            client.admin.command(GRANTS["role"])
            client.admin.command(GRANTS["user"] | {"pwd": server})
        yield found


def fill(client: Client, count: int = 50) -> None:
    """Put documents where the shipped role may read."""
    client.drop_database("claude_logs")
    client.claude_logs.conversations.insert_many(
        {"type": "user", "sessionId": "s", "timestamp": "2026-01-03T10:00:00Z", "n": number}
        for number in range(count)
    )


def verdict(mongo: MongoSettings, runner: StreamRunner) -> dict[str, int]:
    verifier = verifier_of(runner, mongo=mongo)
    found = verifier.run()
    return {"documents": found.documents} | {kind: count for kind, count in found.counts.items() if count}


def test_the_shipped_role_is_enough(guarded: Guarded, tmp_path: Path) -> None:
    """Stream, backfill, verify and doctor miss nothing; not even the oplog's headroom and the set's id."""
    mongo = guarded.settings()
    with guarded.client("admin") as admin:
        fill(admin)
    stream = StreamRunner(mongo, tmp_path / "data")
    position = stream.take_position()
    with guarded.client("admin") as admin:
        admin.claude_logs.conversations.insert_one({"type": "user"})

    backfill = BackfillRunner(mongo, tmp_path / "data").run()
    assert (51, True) == (backfill.documents, backfill.is_finished)
    assert 1 == stream.catch_up(idle_seconds=1).events
    assert "oplog_not_readable" not in stream.events_logged()
    assert position.fingerprint.cluster_id
    assert {"documents": 51} == verdict(mongo, stream)

    data = DataSettings(DATA_DIR=stream.folder)
    checks = Doctor(
        mongo=mongo,
        data_dir=stream.folder,
        landing=LandingZone(data.landing_dir, clock=utc_now),
        dead_letters=DeadLetterStore(data.dead_letter_dir, clock=utc_now),
        warehouse=stream.warehouse,
        addresses=(),
    ).examine()
    levels = {check.name: check.level for check in checks}
    sees = ("source", "find", "changeStream", "snapshot", "large events", "images", "oplog", "position")
    assert dict.fromkeys(sees, "ok") == {name: levels[name] for name in sees}


@pytest.mark.parametrize(
    "action",
    [
        lambda client: client.claude_logs.conversations.insert_one({}),
        lambda client: client.claude_logs.conversations.update_one({}, {"$set": {"x": 1}}),
        lambda client: client.claude_logs.conversations.delete_one({}),
        lambda client: client.claude_logs.conversations.drop(),
        lambda client: client.claude_logs.conversations.rename("mine"),
        lambda client: client.claude_logs.conversations.create_index("type"),
        lambda client: client.claude_logs.conversations.aggregate([{"$out": "copy"}]),
        lambda client: client.claude_logs.others.find_one(),
        lambda client: client.claude_logs.create_collection("mine"),
        lambda client: client.drop_database("claude_logs"),
        lambda client: client.other.things.find_one(),
        lambda client: client.other.things.insert_one({}),
        lambda client: client.admin.system.users.find_one(),
        lambda client: client.admin.command("createUser", "me", pwd="", roles=["root"]),
        lambda client: client.admin.command("grantRolesToUser", "claude_analytics", roles=["root"]),
        lambda client: client.admin.command("changeUser", "x"),
        lambda client: client.admin.command("replSetReconfig", {}),
        lambda client: client.admin.command("replSetStepDown", 1),
        lambda client: client.admin.command("shutdown"),
        lambda client: client.local["system.replset"].find_one(),
        lambda client: client.watch(),
        lambda client: client.claude_logs.watch(),
    ],
    ids=["insert", "update", "delete", "drop", "rename", "index", "copy", "other collection",
         "make a collection", "drop the database", "read elsewhere", "write elsewhere", "read accounts",
         "make an account", "get more rights", "no such command", "reconfigure", "step down", "shut down",
         "read the set's state", "watch all", "watch the database"],
)  # fmt: skip
def test_the_shipped_role_can_do_nothing_else(guarded: Guarded, action: Callable[[Client], Any]) -> None:
    """Whoever steals the account can read this collection and the oplog's entries, and change nothing."""
    with guarded.client("admin") as admin:
        fill(admin, 1)
    with guarded.client() as client, pytest.raises(OperationFailure) as caught:
        action(client)
    assert caught.value.code in {13, 59}  # not authorised; no such command
    with guarded.client("admin") as admin:
        assert [1] == [admin.claude_logs[name].count_documents({}) for name in ("conversations",)]


@pytest.mark.skipif(shutil.which("mongosh") is None, reason="no mongosh on this machine")
def test_the_script_does_what_the_file_says(guarded: Guarded) -> None:
    """With mongosh: the role is brought up to date, an account that is there is left alone."""
    uri = guarded.settings("admin").uri.get_secret_value().replace("/?", "/admin?authSource=admin&")
    with guarded.client("admin") as admin:
        admin.admin.command("updateRole", "claude_analytics", privileges=[])
    command = ["mongosh", "--quiet", uri, str(DEPLOY / "least-privilege.js")]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "brought up to date" in said
    assert "left alone" in said
    with guarded.client() as client:
        client.claude_logs.conversations.find_one()


@dataclass(frozen=True)
class Encrypted:
    """A server that speaks TLS only, and knows an account by its certificate.

    Attributes:
        address: `host:port`.
        ca: Who signed its certificate.
        other_ca: Who did not.
        client: A client's certificate with key; `reader`'s, which has an account.
        stranger: One without an account.
    """

    address: str
    ca: Path
    other_ca: Path
    client: Path
    stranger: Path

    def settings(self, **options: object) -> MongoSettings:
        """Name the server with these options of the connection string."""
        written = "&".join(f"{name}={quote(str(value), safe='')}" for name, value in options.items())
        return MongoSettings(
            MONGO_URI=f"mongodb://{self.address}/?{written}", MONGO_CONNECT_TIMEOUT_SECONDS=5
        )

    def with_certificate(self, certificate: Path) -> MongoSettings:
        """Name the server with a certificate as account."""
        return self.settings(
            tls="true",
            tlsCAFile=self.ca,
            tlsCertificateKeyFile=certificate,
            authMechanism="MONGODB-X509",
            authSource="$external",
        )


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Encrypted]:
    folder = tmp_path_factory.mktemp("encrypted")
    authority = Authority(folder, "authority")
    certificate, client_certificate = authority.server("server"), authority.client("reader")
    admin_certificate = authority.client("admin")
    options = MongodOptions(
        cache_size_gb=0.25,
        oplog_size_mb=64,
        extra_arguments=(
            *("--tlsMode", "requireTLS", "--tlsCertificateKeyFile", str(certificate)),
            *("--tlsCAFile", str(authority.path), "--tlsAllowConnectionsWithoutCertificates"),
            *("--auth", "--clusterAuthMode", "x509"),
        ),
        client_options={"tls": True, "tlsCAFile": str(authority.path)},
    )
    with EmbeddedMongo(folder / "mongo", options=options) as mongo:
        address = mongo.nodes[0].address
        ours: dict[str, Any] = {"tls": True, "tlsCAFile": str(authority.path)}
        external = {"authMechanism": "MONGODB-X509", "authSource": "$external"}
        with MongoClient[dict[str, Any]](mongo.uri, **ours) as client:
            client["$external"].command("createUser", client_subject("admin"), roles=[
                {"role": "root", "db": "admin"}
            ])  # fmt: skip
        with MongoClient[dict[str, Any]](
            mongo.uri, **ours, **external, tlsCertificateKeyFile=str(admin_certificate)
        ) as client:
            client.admin.command(GRANTS["role"])
            client["$external"].command("createUser", client_subject("reader"), roles=GRANTS["user"]["roles"])
            fill(client)
        yield Encrypted(
            address,
            authority.path,
            Authority(folder, "other").path,
            client_certificate,
            authority.client("stranger"),
        )


def test_a_certificate_is_an_account(encrypted: Encrypted, tmp_path: Path) -> None:
    """TLS and X.509 are options of the connection string; stream, backfill and verify work through them."""
    mongo = encrypted.with_certificate(encrypted.client)
    stream = StreamRunner(mongo, tmp_path)
    stream.take_position()
    assert 50 == BackfillRunner(mongo, tmp_path).run().documents
    assert {"documents": 50} == verdict(mongo, stream)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (lambda server: {"tls": "true", "tlsCAFile": server.other_ca}, "certificate verify failed"),
        (lambda _: {"tls": "true"}, "certificate verify failed"),
        (lambda server: {"tls": "true", "tlsCAFile": server.ca.parent / "none.pem"}, "none.pem"),
        (lambda server: {"tls": "true", "tlsCAFile": server.ca,
                         "tlsCertificateKeyFile": server.ca.parent / "none.pem"}, "none.pem"),
    ],
    ids=["another authority", "no authority", "no such file", "no such certificate"],
)  # fmt: skip
def test_a_server_that_is_not_trusted_is_said(
    encrypted: Encrypted, tmp_path: Path, options: Callable[[Encrypted], dict[str, object]], message: str
) -> None:
    """Exit code 2 and the option to correct, instead of "does not answer"."""
    with pytest.raises(SettingsError, match=message) as caught:
        make_worker(encrypted.settings(**options(encrypted)), tmp_path).run(until_idle_seconds=1)
    assert 2 == caught.value.exit_code
    assert "tlsCAFile" in caught.value.hint


def test_a_server_that_wants_tls_says_nothing_without(encrypted: Encrypted, tmp_path: Path) -> None:
    """It just hangs up; the hint names TLS."""
    with pytest.raises(SourceUnreachableError) as caught:
        make_worker(encrypted.settings(), tmp_path).run(until_idle_seconds=1)
    assert "tls=true" in caught.value.hint


def test_an_unknown_certificate_is_refused(encrypted: Encrypted, tmp_path: Path) -> None:
    """Signed by the right authority, but no account: exit code 2."""
    with pytest.raises(AccessDeniedError):
        make_worker(encrypted.with_certificate(encrypted.stranger), tmp_path).run(until_idle_seconds=1)
