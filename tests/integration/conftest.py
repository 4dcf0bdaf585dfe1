"""What all integration tests have."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from batch.transform.dbt_project import DbtProject
from tests.conftest import made_once
from tests.support.marts import overlook_the_file


@pytest.fixture(scope="session", autouse=True)
def parsed_once(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Give each data folder of this process what dbt has parsed for the first one: to parse takes 3 s.

    Commands that run as processes of their own still parse.
    """
    invoke, kept = DbtProject.invoke, "partial_parse.msgpack"

    def parse(folder: Path) -> None:
        project = DbtProject(warehouse=folder / "analytics.duckdb", data_dir=folder)
        invoke(project, project.arguments("parse"))
        (project.target_dir / kept).replace(folder / kept)

    def invoke_parsed(project: DbtProject, arguments: Sequence[str], **options: Any) -> object:
        overlook_the_file()
        if project.folder is None and not (target := project.target_dir / kept).exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((made_once(tmp_path_factory, "parsed", parse) / kept).read_bytes())
        return invoke(project, arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DbtProject, "invoke", invoke_parsed)
        yield
