"""Building: what runs, what is told meanwhile, and what a failure says."""

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest
from bson.objectid import ObjectId

from batch import shipped
from batch.transform.dbt_project import DbtProject
from batch.transform.transform import BuildProgress, BuildResult, transform
from stream.errors import ChecksFailedError, StepFailedError, WarehouseBusyError
from tests.support.marts import MARTS, MartsWarehouse, break_key

pytestmark = pytest.mark.integration


@pytest.fixture
def warehouse(tmp_path: Path, dbt_artifacts: Path) -> MartsWarehouse:
    """Return a warehouse of one short conversation, not built yet."""
    warehouse = MartsWarehouse(tmp_path, artifacts=dbt_artifacts)
    warehouse.change([line(1, "user", "Add a button"), line(2, "assistant", "Done")])
    return warehouse


@pytest.fixture(scope="module")
def built_once(tmp_path_factory: pytest.TempPathFactory, dbt_artifacts: Path) -> MartsWarehouse:
    warehouse = MartsWarehouse(tmp_path_factory.mktemp("built"), artifacts=dbt_artifacts)
    warehouse.change([line(1, "user", "Add a button"), line(2, "assistant", "Done")])
    warehouse.build()
    return warehouse


@pytest.fixture
def built(built_once: MartsWarehouse, tmp_path: Path) -> MartsWarehouse:
    """Return the same warehouse, after its first build."""
    return built_once.copied(tmp_path)


@pytest.fixture(scope="module")
def project_copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project") / "dbt"
    shutil.copytree(shipped.dbt_project(), folder, ignore=shutil.ignore_patterns("target", "logs"))
    return folder


@pytest.fixture
def own_project(warehouse: MartsWarehouse, project_copy: Path) -> Iterator[Path]:
    """Return the folder of a dbt project of this test's own, to be changed, by which `warehouse` is built."""
    warehouse.change_project("copy", folder=project_copy)
    before = {path: path.read_bytes() for path in project_copy.rglob("*") if path.is_file()}
    yield project_copy
    for path in project_copy.rglob("*"):
        if path.is_file() and path not in before:
            path.unlink()
    for path, content in before.items():
        path.write_bytes(content)


def line(number: int, role: str, text: str, **fields: Any) -> dict[str, Any]:
    return {
        "_id": ObjectId(f"{number:024x}"),
        "type": role,
        "uuid": f"line-{number}",
        "sessionId": "conversation",
        "timestamp": datetime(2026, 3, 1, 10, number, tzinfo=UTC),
        "message": {"role": role, "content": text},
        "projectId": "project",
        "sourceFile": "project/conversation.jsonl",
    } | fields


def test_the_rules_hold(built: MartsWarehouse) -> None:
    """The project's own unit tests pass: rows by hand for each rule."""
    project = built.project
    outcome = project.invoke(project.arguments("test", "--select", "test_type:unit"))
    results = {
        result.node.name: result.status.value for result in outcome.results if "::" not in result.node.name
    }
    tests = {
        name: status for name, status in results.items() if not name.startswith("claude_analytics-on-run")
    }
    assert len(tests) >= 16
    assert {"pass"} == set(tests.values())


def test_an_empty_warehouse_builds(tmp_path: Path, dbt_artifacts: Path) -> None:
    """Before the first line everything is there, without rows.

    Progress names each node once, and nobody else can disturb the build.
    """
    warehouse = MartsWarehouse(tmp_path, artifacts=dbt_artifacts)
    warehouse.change()
    told: list[BuildProgress] = []
    held: list[str] = []

    @contextmanager
    def lease() -> Iterator[None]:
        held.append("taken")
        yield
        held.append("given back")

    def note(progress: BuildProgress) -> None:
        told.append(progress)
        held.append("building")

    result = transform(warehouse.project, lease=lease(), on_progress=note)
    assert "taken" == held[0]
    assert "given back" == held[-1]
    assert "building" in held
    assert {node.node.name for node in told} >= set(MARTS)
    assert list(range(1, len(told) + 1)) == [node.done for node in told]
    assert {len(told)} == {node.total for node in told}
    assert {model.name for model in result.models} >= {*MARTS, "stg_conversations", "int_tool_usage"}
    assert all(model.seconds >= 0 for model in result.models)
    counts = {mart: len(rows) for mart, rows in warehouse.marts().items()}
    assert {mart: 168 if mart == "agg_hourly_activity" else 0 for mart in MARTS} == counts


def test_the_file_is_closed_afterwards(warehouse: MartsWarehouse) -> None:
    """Whoever opens it next may do so with other settings."""
    warehouse.build_unchecked("+fct_messages")
    with duckdb.connect(warehouse.path, config={"threads": 1}) as connection:
        assert (2,) == connection.execute("select count(*) from marts.fct_messages").fetchone()


def test_a_busy_warehouse_is_left_alone(warehouse: MartsWarehouse) -> None:
    """Somebody else's lease is respected: nothing is built."""
    with warehouse.warehouse.lock.held(timeout_seconds=5), pytest.raises(WarehouseBusyError):
        transform(warehouse.project, lease=warehouse.warehouse.lock.held(timeout_seconds=0.1))
    schemas = warehouse.rows("select count(*) from information_schema.schemata where schema_name = 'marts'")
    assert [(0,)] == schemas


@pytest.mark.parametrize("name", ["main", "a-b c.2"])
def test_any_name_of_a_file_will_do(warehouse: MartsWarehouse, tmp_path: Path, name: str) -> None:
    """Whoever opens the file can read its views, whatever DuckDB has to call the database."""
    path = warehouse.path.rename(warehouse.path.with_name(f"{name}.duckdb"))
    project = replace(warehouse.project, warehouse=path, data_dir=tmp_path)
    lease = warehouse.warehouse.lock.held(timeout_seconds=5)
    transform(project, lease=lease, models=["+stg_conversations"])
    with duckdb.connect(path, read_only=True) as connection:
        assert [(2,)] == connection.execute("select count(*) from staging.stg_conversations").fetchall()


def test_models_can_be_selected(built: MartsWarehouse) -> None:
    """Only those are built, and only checks that concern nothing else are run."""
    result = built.build("dim_tools", "fct_messages")
    assert {"dim_tools", "fct_messages"} == {model.name for model in result.models}


def test_checks_of_views_can_wait(built: MartsWarehouse) -> None:
    """Those of the tables are asked each time; what waits is named, and asked when it is to be."""

    def names(result: BuildResult) -> set[str]:
        return {node.name for node in result.nodes if node.kind == "test"}

    soon = built.build(checks_views=False)
    assert {"key_int_messages_enriched_line_id", "key_stg_messages_line_id"} <= set(soon.waiting)
    assert {"key_base_lines_line_id", "assert_marts_agree"} <= names(soon)

    break_key(built.path, "intermediate.int_pull_requests")
    assert soon.waiting == built.build(checks_views=False).waiting
    with pytest.raises(ChecksFailedError, match="check `key_int_pull_requests_line_id` failed"):
        built.build()

    whole = built.build(full_refresh=True)
    assert () == whole.waiting
    assert names(whole) == names(soon) | set(soon.waiting)


def test_whatever_no_longer_fits_is_built_wholly(built: MartsWarehouse) -> None:
    """A view that somebody has dropped is there again, as are those of another time zone."""
    with duckdb.connect(built.path) as connection:
        connection.execute("drop view staging.stg_messages cascade")
    assert "stg_messages" in {model.name for model in built.build().models}

    built.use_timezone("America/New_York")
    assert "stg_messages" in {model.name for model in built.build().models}
    assert "stg_messages" not in {model.name for model in built.build().models}


def test_no_model_of_that_name(warehouse: MartsWarehouse) -> None:
    """A selection without a model is a mistake, not a success."""
    with pytest.raises(StepFailedError) as raised:
        warehouse.build("fct_nothing")
    assert "nothing to build: no model matches `fct_nothing`" == raised.value.message


def test_no_warehouse_yet(tmp_path: Path) -> None:
    """The message says what to do first."""
    with pytest.raises(StepFailedError) as raised:
        MartsWarehouse(tmp_path).build()
    assert "run `claude-analytics load` first" == raised.value.hint


def test_a_broken_model_is_named_with_its_sql(warehouse: MartsWarehouse, own_project: Path) -> None:
    """Name, cause, and the file that holds the statement; what is built already stays."""
    model = own_project / "models" / "marts" / "fct_messages.sql"
    model.write_text(model.read_text().replace("content_length", "content_lenght"))
    with pytest.raises(StepFailedError) as raised:
        warehouse.build()
    assert raised.value.message.startswith("model `fct_messages` failed: Binder Error: ")
    sql = Path(raised.value.hint.split("`")[1])
    assert "content_lenght" in sql.read_text()
    assert [(2,)] == warehouse.rows("select count(*) from staging.base_lines")


def test_a_project_that_cannot_be_read(warehouse: MartsWarehouse, own_project: Path) -> None:
    """What dbt says about its own files comes first; its log has the rest."""
    (own_project / "models" / "marts" / "fct_messages.sql").write_text("select {{ nothing(")
    with pytest.raises(StepFailedError, match="dbt could not run: Compilation Error") as raised:
        warehouse.build()
    assert str(warehouse.project.log_dir) in raised.value.hint


def test_wrong_data_fails_a_check(warehouse: MartsWarehouse) -> None:
    """Two rows of one `_id` must never be: the check nearest to the source is named, with its query."""
    with warehouse.warehouse.opened(timeout_seconds=5) as connection:
        connection.execute("insert into raw.conversations select * from raw.conversations limit 1")
    with pytest.raises(
        ChecksFailedError, match="check `source_unique_raw_conversations__id` failed"
    ) as raised:
        warehouse.build()
    assert Path(raised.value.hint.split("`")[1]).is_file()


def test_the_next_build_walks_through_the_tables_only(warehouse: MartsWarehouse, own_project: Path) -> None:
    """With the same checks, asked as SQL: they find what dbt itself does, and name it as dbt would."""
    warning = own_project / "tests" / "assert_only_a_warning.sql"
    warning.write_text("{{ config(severity='warn') }} select * from {{ ref('fct_messages') }}")
    first, second = warehouse.build(), warehouse.build()
    tables = {model.name for model in second.models}
    assert tables >= set(MARTS)
    assert not {name for name in tables if name.startswith(("stg_", "int_"))}

    project = warehouse.project
    with warehouse.warehouse.lock.held(timeout_seconds=5):
        by_dbt = project.invoke(project.arguments("test", "--exclude-resource-type", "unit_test"))
    expected = {
        (result.node.name, str(result.status), result.message or "")
        for result in by_dbt.results
        if result.node.resource_type.value == "test"
    }
    assert len(expected) > 100
    assert 1 == sum(status == "warn" for _, status, _ in expected)
    for result in (first, second):
        asked = {(node.name, node.status, node.message) for node in result.nodes if node.kind == "test"}
        assert expected == asked

    with duckdb.connect(warehouse.path) as connection:
        connection.execute(
            "insert into ops.kept_checks select project_checksum, 'no_row', 'select 1', failures, warn_if, "
            "error_if, true, 'compiled/no_row.sql', false from ops.kept_checks limit 1"
        )
    with pytest.raises(ChecksFailedError) as raised:
        warehouse.build()
    assert "check `no_row` failed: Got 1 result, configured to fail if != 0" == raised.value.message
    assert "compiled/no_row.sql" in raised.value.hint


def test_a_process_parses_the_project_once(built: MartsWarehouse, monkeypatch: pytest.MonkeyPatch) -> None:
    """Until a variable is another one; each build says of itself what publishing wants to know."""
    asked: list[str] = []
    ask = DbtProject._result

    def noted(project: DbtProject, arguments: Sequence[str], *others: Any) -> object:
        asked.append(arguments[0])
        return ask(project, arguments, *others)

    monkeypatch.setattr(DbtProject, "_result", noted)

    def build() -> str:
        asked.clear()
        built.build()
        results = json.loads((built.project.target_dir / "run_results.json").read_bytes())
        return str(results["metadata"]["invocation_id"])

    build()
    first, second = build(), build()
    assert "parse" not in asked
    assert first != second
    built.change_project("hour", usage_week_start_hour=3)
    build()
    assert "parse" in asked


def test_a_check_that_cannot_be_asked(warehouse: MartsWarehouse, own_project: Path) -> None:
    """Its query is broken: dbt says so, and nothing counts as checked."""
    broken = own_project / "tests" / "assert_broken.sql"
    broken.write_text("select nothing from {{ ref('fct_messages') }}")
    with pytest.raises(StepFailedError, match="test `assert_broken` failed: Binder Error") as raised:
        warehouse.build()
    assert "select nothing" in Path(raised.value.hint.split("`")[1]).read_text()
    assert [(0,)] == warehouse.rows("select count(*) from duckdb_tables() where table_name = 'kept_checks'")


ODD_LINES: list[dict[str, Any]] = [
    {"type": "assistant", "message": {"id": 7, "usage": {"input_tokens": "many", "output_tokens": {}}}},
    {
        "type": "assistant",
        "message": {"id": "m", "model": None, "usage": {"output_tokens": 1.9}, "content": {}},
    },
    {
        "type": "assistant",
        "message": {"role": "assistant", "content": [None, 1, [], {"type": None}, {"type": {}}]},
    },
    {"type": "assistant", "message": [{"type": "tool_use", "input": "text"}, {"type": "tool_use", "id": 1}]},
    {"type": "user", "message": {"content": [{"type": "tool_result", "is_error": "yes", "content": [[]]}]}},
    {"type": "user", "message": None, "toolUseResult": [[{"structuredPatch": 1}]]},
    {
        "type": "user",
        "message": "\u0000 and \\u0000 and \U0001f600 and \ud83d",
        "isMeta": [],
        "cwd": {"a": 1},
    },
    {
        "type": "user",
        "message": {"content": "x"},
        "toolUseResult": {"structuredPatch": [{"lines": {"+": 1}}, 3]},
    },
    {"type": "tool_use"},
    {"type": "tool_result", "message": "three", "content": {"deep": [[[[[[[[1]]]]]]]]}},
    {"type": "tool_use", "message": ["a"], "name": ["Bash"]},
    {"type": "pr-link", "prUrl": {"x": 1}, "prNumber": "abc"},
    {"type": "summary", "summary": ["a"], "leafUuid": 5},
    {"type": "progress", "data": "text"},
    {"type": "progress", "data": {"message": {"type": "assistant", "message": "text"}}},
    {
        "type": "progress",
        "data": {"message": {"type": "assistant", "message": {"usage": {"input_tokens": 1}}}},
    },
    {
        "type": "\u2028",
        "message": {"a.b": {"c'": '"'}},
        "it's": "o'clock",
        "sessionId": "it's -- odd {{ x }}",
    },
]


def test_odd_lines_never_break_a_build(built: MartsWarehouse) -> None:
    """Wrong shapes become nulls: whatever a line holds, all marts are built, and again incrementally."""
    odd = [
        {"_id": ObjectId(f"{number:024x}"), "uuid": f"odd-{number}", "projectId": "project"} | fields
        for number, fields in enumerate(ODD_LINES, start=100)
    ]
    for document in odd:
        if isinstance(document.get("message"), str):
            document["message"] = document["message"].encode("utf-8", "replace").decode()
    built.change(odd[::2])
    built.build()
    built.change(odd)
    result = built.build()
    assert [(2 + len(odd),)] == built.rows("select count(*) from staging.base_lines")
    assert built.marts_of_full_refresh() == built.marts()
    assert {node.name for node in result.warnings} <= {
        "assert_every_model_has_a_price",
        "assert_tools_are_sorted",
    }


def test_an_unknown_model_is_seen(built: MartsWarehouse) -> None:
    """Its cost is unknown, not 0, in every place that shows it; the build warns."""
    usage = {"input_tokens": 10, "output_tokens": 20}
    message = {
        "id": "m1",
        "model": "claude-unheard-of-9",
        "role": "assistant",
        "usage": usage,
        "content": "hi",
    }
    built.change([line(3, "assistant", "", message=message, requestId="r1")])
    result = built.build()
    assert [(None,)] == built.rows("select cost_usd from marts.fct_api_calls")
    assert [(None, 1)] == built.rows("select cost_usd, unpriced_call_count from marts.dim_sessions")
    assert [(None, 1)] == built.rows("select cost_usd, unpriced_calls from marts.agg_daily_cost")
    assert [(None, 1)] == built.rows("select cost_usd, unpriced_calls from marts.agg_daily_summary")
    assert [(False,)] == built.rows("select has_price from marts.dim_models")
    assert ["assert_every_model_has_a_price"] == [node.name for node in result.warnings]
