"""Which files are found, and that their names do not depend on where they lie."""

import os
from pathlib import Path, PurePosixPath

import pytest

from batch.importer.files import LogFile, Refused, existing_folder, find_logs, search_again, source_file_of
from stream.errors import ImportPathError


def logs_in(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}\n")


def names_at(*paths: Path) -> list[str]:
    return sorted(log.source_file for log in find_logs(paths).files)


@pytest.mark.parametrize(
    ("path", "root", "name"),
    [
        ("/h/.claude/projects/app/one.jsonl", "/h/.claude/projects", "app/one.jsonl"),
        ("/h/.claude/projects/app/one.jsonl", "/h/.claude/projects/app", "app/one.jsonl"),
        ("/h/.claude/projects/app/one.jsonl", "/h", "app/one.jsonl"),
        ("/h/.claude/projects/app/c/subagents/a.jsonl", "/h/.claude/projects", "app/c/subagents/a.jsonl"),
        ("/h/.claude/projects/app/c/subagents/a.jsonl", "/h/.claude/projects/app", "app/c/subagents/a.jsonl"),
        ("/h/projects/x/.claude/projects/app/one.jsonl", "/h/projects", "app/one.jsonl"),
        ("/h/-projects-x/one.jsonl", "/h", "-projects-x/one.jsonl"),
        ("/backup/app/one.jsonl", "/backup", "app/one.jsonl"),
        ("/backup/app/one.jsonl", "/backup/app", "app/one.jsonl"),
        ("/backup/app/c/subagents/a.jsonl", "/backup/app", "app/c/subagents/a.jsonl"),
        ("/backup/app/c/subagents/a.jsonl", "/backup/app/c/subagents", "app/c/subagents/a.jsonl"),
        ("/backup/app/c/subagents/deep/a.jsonl", "/backup/app", "app/c/subagents/deep/a.jsonl"),
        ("/projects/one.jsonl", "/projects", "projects/one.jsonl"),
        ("/one.jsonl", "/", "one.jsonl"),
    ],
)
def test_a_log_has_one_name(path: str, root: str, name: str) -> None:
    """The name begins with the project's folder, whichever folder above or below it was given."""
    assert source_file_of(PurePosixPath(path), PurePosixPath(root)) == name


def test_the_project_is_the_first_folder_of_the_name() -> None:
    """The folder below `projects` is the project."""
    assert "-home-me-app" == LogFile(Path("/x"), "-home-me-app/one.jsonl", 0).project_id


CLAUDE = [".claude/projects/app/one.jsonl", ".claude/projects/app/one/subagents/a.jsonl"]
BOTH = ["app/one.jsonl", "app/one/subagents/a.jsonl"]
MIXED = ["app/one.jsonl", "app/one.meta.json", "app/notes.txt"]


@pytest.mark.parametrize(
    ("files", "given", "expected"),
    [
        (CLAUDE, [".claude"], BOTH),
        (CLAUDE, [".claude/projects"], BOTH),
        (CLAUDE, [".claude/projects/app"], BOTH),
        (CLAUDE, [".claude/projects/app/one.jsonl"], ["app/one.jsonl"]),
        (["projects/app/one.jsonl", "history.jsonl"], ["."], ["app/one.jsonl"]),
        (MIXED, ["."], ["app/one.jsonl"]),
        (MIXED, ["app/notes.txt"], ["app/notes.txt"]),
        (["app/1.jsonl", "app/2.jsonl"], [".", "app", "app/1.jsonl"], ["app/1.jsonl", "app/2.jsonl"]),
    ],
    ids=[
        "home folder of Claude Code",
        "its `projects`",
        "one project",
        "one log",
        "the history beside `projects`",
        "other files",
        "a file that is named itself may be called anything",
        "paths that overlap",
    ],
)
def test_every_way_to_name_logs_agrees(
    tmp_path: Path, files: list[str], given: list[str], expected: list[str]
) -> None:
    """They lead to the same names, each once, and to nothing that is no conversation."""
    logs_in(tmp_path, *files)

    assert expected == names_at(*(tmp_path / path for path in given))


def test_links_that_lead_out_are_refused(tmp_path: Path) -> None:
    """A linked file or folder from elsewhere is named and not read."""
    logs_in(tmp_path, "inside/app/one.jsonl", "outside/secret.jsonl")
    inside = tmp_path / "inside"
    (inside / "app" / "linked.jsonl").symlink_to(tmp_path / "outside" / "secret.jsonl")
    (inside / "folder").symlink_to(tmp_path / "outside")
    (inside / "app" / "gone.jsonl").symlink_to(tmp_path / "nowhere")

    found = find_logs([inside])

    assert ["app/one.jsonl"] == [log.source_file for log in found.files]
    assert [
        Refused(inside / "app" / "gone.jsonl", "a symbolic link that leads nowhere"),
        Refused(inside / "app" / "linked.jsonl", "a symbolic link that leads out of the folder"),
        Refused(inside / "folder", "a symbolic link that leads out of the folder"),
    ] == sorted(found.refused, key=lambda refused: refused.path)


def test_links_inside_are_read_under_their_own_name_only(tmp_path: Path) -> None:
    """A link to a log of the same folder does not double its lines."""
    logs_in(tmp_path, "app/one.jsonl")
    (tmp_path / "app" / "again.jsonl").symlink_to(tmp_path / "app" / "one.jsonl")
    (tmp_path / "loop").symlink_to(tmp_path)

    found = find_logs([tmp_path])

    assert ["app/one.jsonl"] == [log.source_file for log in found.files]
    assert [] == found.refused


def test_a_link_that_is_given_is_followed(tmp_path: Path) -> None:
    """Who names a link means what it leads to."""
    logs_in(tmp_path, "real/projects/app/one.jsonl")
    (tmp_path / "link").symlink_to(tmp_path / "real")

    assert ["app/one.jsonl"] == names_at(tmp_path / "link")


def test_a_pipe_is_refused(tmp_path: Path) -> None:
    """What is no regular file would block or never end."""
    logs_in(tmp_path, "app/one.jsonl")
    os.mkfifo(tmp_path / "app" / "pipe.jsonl")

    assert [Refused(tmp_path / "app" / "pipe.jsonl", "not a regular file")] == find_logs([tmp_path]).refused
    with pytest.raises(ImportPathError, match="not a regular file"):
        find_logs([tmp_path / "app" / "pipe.jsonl"])


def test_a_path_that_does_not_exist_is_said(tmp_path: Path) -> None:
    """The message names the path, the hint where logs usually are."""
    with pytest.raises(
        ImportPathError, match=r"cannot import `.*/none`: no such file or directory"
    ) as caught:
        find_logs([tmp_path / "none"])
    assert "~/.claude/projects" in caught.value.hint
    with pytest.raises(ImportPathError, match="no such file"):
        existing_folder(tmp_path / "none")


def test_an_empty_folder_is_said(tmp_path: Path) -> None:
    """To import nothing is an error, to follow a folder that is still empty is not."""
    with pytest.raises(ImportPathError, match=r"cannot import `.*`: no `\*\.jsonl` in it"):
        find_logs([tmp_path])

    assert [] == search_again([tmp_path, tmp_path / "none"]).files


def test_an_empty_folder_beside_another_is_named(tmp_path: Path) -> None:
    """The folder with logs is imported, whichever comes first; one that is not there is a mistake."""
    logs_in(tmp_path, "full/one.jsonl")
    (tmp_path / "empty").mkdir()
    given = [tmp_path / "empty", tmp_path / "full"]

    found = find_logs(given)

    assert ["full/one.jsonl"] == [log.source_file for log in found.files]
    assert [Refused(tmp_path / "empty", "no `*.jsonl` in it")] == found.refused
    assert find_logs(reversed(given)) == found
    with pytest.raises(ImportPathError, match="no such file"):
        find_logs([*given, tmp_path / "none"])


def test_a_name_that_is_no_utf8_is_replaced(tmp_path: Path) -> None:
    """Bytes that MongoDB cannot store as text do not stop the import."""
    folder = os.fsencode(tmp_path) + b"/app"
    Path(os.fsdecode(folder)).mkdir()
    Path(os.fsdecode(folder + b"/\xff.jsonl")).write_text("{}")

    assert ["app/\ufffd.jsonl"] == names_at(tmp_path)


def test_sizes_add_up(tmp_path: Path) -> None:
    """The size of all logs is known before the first is read."""
    logs_in(tmp_path, "app/one.jsonl", "app/two.jsonl")

    assert 6 == find_logs([tmp_path]).size_bytes


def test_the_folder_to_watch(tmp_path: Path) -> None:
    """For a file it is the folder that holds it."""
    logs_in(tmp_path, "app/one.jsonl")

    assert existing_folder(tmp_path / "app") == tmp_path / "app"
    assert existing_folder(tmp_path / "app" / "one.jsonl") == tmp_path / "app"
