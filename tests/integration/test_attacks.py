"""Names and paths that try to be more than names and paths."""

import os
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from batch.importer.files import find_logs
from stream.errors import ImportPathError
from tests.support.backfilling import BackfillRunner
from tests.support.publishing import Shop, message
from tests.support.streaming import StreamRunner, mongo_settings
from tests.support.verifying import verifier_of

pytestmark = pytest.mark.integration

QUOTES = """'; drop table raw.conversations; -- "]) /* \\ %s {} $1"""
LINE = b'{"type": "user", "uuid": "u"}\n'


def test_quotes_in_documents_and_names_stay_text(mongo_uri: str, tmp_path: Path) -> None:
    """Collection, folder, ids, project, session, file: all the way to the warehouse and back by verify."""
    folder = tmp_path / 'it\'s; "data" (x) {y} %s'
    with MongoClient[dict[str, Any]](mongo_uri) as client:
        collection = client["attacks"]['it\'s; drop "x" --']
        try:
            stream = StreamRunner(mongo_settings(collection, mongo_uri), folder)
            collection.insert_one({"_id": f"before {QUOTES}", "type": QUOTES, "projectId": QUOTES})
            stream.take_position()
            fields = {name: f"{name} {QUOTES}" for name in ("sessionId", "projectId", "sourceFile", "uuid")}
            collection.insert_many([
                {"_id": QUOTES, "type": QUOTES, "message": QUOTES, QUOTES: QUOTES} | fields,
                {"_id": f"rejected {QUOTES}", "projectId": QUOTES},
            ])  # fmt: skip
            BackfillRunner(stream.mongo, folder).run()
            stream.catch_up()
            found = verifier_of(stream).run()
        finally:
            client.drop_database("attacks")
    assert {"dead letter": 1} == {kind: count for kind, count in found.counts.items() if count}
    with stream.warehouse.opened(timeout_seconds=10) as connection:
        rows = connection.execute(
            "select _id, type, project_id from raw.conversations order by all"
        ).fetchall()
    assert [
        (f"s:{QUOTES}", QUOTES, f"projectId {QUOTES}"), (f"s:before {QUOTES}", QUOTES, QUOTES),
    ] == rows  # fmt: skip


def test_quotes_in_published_names_and_paths_stay_names(tmp_path: Path) -> None:
    """A table and a folder with quotes in their names are published, and read through the views."""
    shop = Shop(tmp_path / 'it\'s "data"; --')
    shop.land(message(1, version=1 << 31, session_id=QUOTES))
    shop.warehouse.load(timeout_seconds=5)
    shop.build(1, more="""create table marts."a'b" as select 'x''y' as "c""d";""")
    shop.publish(1)
    assert [("x'y",)] == shop.ask("""select "c""d" from marts."a'b" """)
    assert (1, 1, 101) == shop.seen_build()


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    """Return a folder of logs with one of them, and beside it what is nobody's business."""
    (tmp_path / "secret.jsonl").write_bytes(LINE)
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "other.jsonl").write_bytes(LINE)
    project = tmp_path / "logs" / "-home-ana-shop"
    project.mkdir(parents=True)
    (project / "one.jsonl").write_bytes(LINE)
    return tmp_path / "logs"


@pytest.mark.parametrize(
    "target",
    ["../../secret.jsonl", "{absolute}/secret.jsonl", "../../outside", "/etc/passwd", "one.jsonl/../../x"],
)
def test_links_that_lead_out_of_the_folder_are_refused(logs: Path, target: str) -> None:
    """To files and folders, relative and absolute; named, and the others are read."""
    link = logs / "-home-ana-shop" / "link.jsonl"
    link.symlink_to(target.format(absolute=logs.parent))
    found = find_logs([logs])
    assert ["-home-ana-shop/one.jsonl"] == [file.source_file for file in found.files]
    assert [link] == [refused.path for refused in found.refused]
    assert "symbolic link" in found.refused[0].reason


def test_the_projects_folder_itself_may_not_lead_out(logs: Path) -> None:
    """As somebody else might have put it there; whoever means it names the folder it leads to."""
    (logs / "projects").symlink_to(logs.parent / "outside")
    with pytest.raises(ImportPathError, match="leads out of the folder") as caught:
        find_logs([logs])
    assert 2 == caught.value.exit_code


def test_dots_in_a_given_path_change_nothing_but_the_path(logs: Path) -> None:
    """What is given is meant: the name of a log is that of where it lies, without dots."""
    found = find_logs([logs / "-home-ana-shop" / ".." / ".." / "outside" / "other.jsonl"])
    assert ["outside/other.jsonl"] == [file.source_file for file in found.files]


def test_what_is_no_file_is_not_waited_for(logs: Path) -> None:
    """A named pipe would block for ever."""
    os.mkfifo(logs / "-home-ana-shop" / "pipe.jsonl")
    found = find_logs([logs])
    assert ["-home-ana-shop/one.jsonl"] == [file.source_file for file in found.files]
    assert ["not a regular file"] == [refused.reason for refused in found.refused]
