"""The runbook covers every alert and every refusal; `test_docs` checks what it names."""

import re
from collections.abc import Iterator

import pytest
import yaml

from stream import errors
from tests.support.paths import ROOT

RUNBOOK = ROOT / "deploy" / "RUNBOOK.md"
TEXT = RUNBOOK.read_text(encoding="utf-8")
PARTS = ["Means", "Look", "Do", "Safe"]

DAY = "containers/test_a_day.py"
FAULTS = "integration/test_stream_faults.py"
CASES = "integration/test_source_cases.py"
WAREHOUSE = "integration/test_warehouse_faults.py"
DELETED = f"{DAY}::test_what_may_be_deleted_is_made_again"
FAILED = f"{DAY}::test_a_failed_build_reaches_whoever_is_to_be_told"
METABASE = "integration/test_metabase.py"
RUN_BY = {
    "With containers": f"{DAY}::test_it_starts_from_nothing {DAY}::test_documents_become_published_marts "
    f"{DAY}::test_dashboards_are_made_with_addresses_for_a_browser "
    f"{DAY}::test_a_server_of_the_machine_itself_is_reached {DAY}::test_prefect_takes_the_place_of_schedule",
    "Without containers": "integration/test_image.py::test_the_wheel_shows_the_demo_as_another_user "
    "unit/test_deploy_files.py::test_units_are_sound_and_hardened",
    "ClaudeAnalyticsTargetDown": f"{DAY}::test_the_data_moves_to_another_machine",
    "ClaudeAnalyticsSourceUnreachable": f"{FAULTS}::test_an_outage_is_waited_out",
    "ClaudeAnalyticsReconnecting": "chaos/test_elections.py::test_a_network_that_fails_is_waited_out",
    "ClaudeAnalyticsMajorityLost": "integration/test_source_complaints.py"
    "::test_a_worker_waits_for_a_majority_and_says_so",
    "ClaudeAnalyticsStreamRestarting": f"{DAY}::test_each_container_comes_back_after_a_crash "
    f"{DAY}::test_limits_of_memory_suffice",
    "ClaudeAnalyticsLagHigh": "chaos/test_memory.py::test_a_backlog_passes_in_bounded_memory",
    "ClaudeAnalyticsStreamStalled": f"{FAULTS}::test_a_full_disk_is_waited_out",
    "ClaudeAnalyticsHeadroomLow": DELETED,
    "ClaudeAnalyticsHeadroomCritical": DELETED,
    "ClaudeAnalyticsDeadLetters": f"{DAY}::test_a_rejected_document_is_shown_mended_and_loaded",
    "ClaudeAnalyticsDeadLettersMany": f"{FAULTS}::test_a_worker_that_only_rejects_stops",
    "ClaudeAnalyticsLoadBehind": "integration/test_warehouse_waits.py"
    "::test_another_program_is_named_and_waited_for",
    "ClaudeAnalyticsPendingPileUp": "integration/test_warehouse_waits.py"
    "::test_the_cost_of_many_files_is_linear",
    "ClaudeAnalyticsBuildStale": FAILED,
    "ClaudeAnalyticsNoBuild": f"{DAY}::test_documents_become_published_marts",
    "ClaudeAnalyticsChecksFailed": "integration/test_schedule.py"
    "::test_a_run_that_fails_is_counted_and_changes_nothing",
    "ClaudeAnalyticsStepFailed": FAILED,
    "ClaudeAnalyticsDiskLow": DELETED,
    "ClaudeAnalyticsDiskFilling": "integration/test_retention.py::test_old_files_go_once_they_are_loaded",
    "SettingsError": "integration/test_source_complaints.py::test_impossible_names_are_errors_of_settings",
    "SourceUnsuitableError": f"{FAULTS}::test_a_server_without_replica_set_is_said",
    "AccessDeniedError": f"{FAULTS}::test_a_refused_account_is_said_at_once "
    f"{DAY}::test_credentials_are_rotated",
    "HistoryLostError": "integration/test_stream_history.py::test_everything_is_resnapshot",
    "HistoryRewoundError": f"{CASES}::test_a_source_that_went_back_in_time_is_noticed",
    "EventTooLargeError": f"{FAULTS}::test_an_event_that_the_server_cannot_send_is_said",
    "TooManyDeadLettersError": f"{FAULTS}::test_a_worker_that_only_rejects_stops",
    "BackfillMismatchError": "integration/test_backfill.py::test_other_filters_are_not_mixed",
    "PositionMismatchError": "integration/test_stream_position.py"
    "::test_a_position_of_another_source_is_refused",
    "CollectionInvalidatedError": "integration/test_stream_invalidations.py"
    "::test_a_replaced_collection_is_resnapshot",
    "AlreadyRunningError": f"{DAY}::test_the_data_moves_to_another_machine",
    "LandingNotWritableError": f"{FAULTS}::test_a_folder_that_cannot_be_written_is_said",
    "StorageRefusedError": "integration/test_storage.py::test_a_bucket_that_is_not_there_is_refused",
    "CatalogRefusedError": "lake/test_rest_catalog.py::test_what_a_catalog_refuses",
    "MicroBatchCorruptError": f"{FAULTS}::test_a_damaged_newest_file_stops_the_start "
    "integration/test_stream_position.py::test_a_newest_file_moved_away_is_read_again",
    "PurgeIncompleteError": "integration/test_purge.py::test_what_is_left_is_said",
    "LandingTrimmedError": "integration/test_retention.py::test_a_warehouse_is_not_made_from_what_is_left",
    "WarehouseCorruptError": f"{WAREHOUSE}::test_a_damaged_file_is_said_and_rebuilt",
    "SchemaTooNewError": f"{WAREHOUSE}::test_a_warehouse_of_a_newer_version_is_left_alone",
    "MongodMissingError": "unit/batch/mongod/test_program.py::test_no_program_at_all_is_said",
    "MongodFailedError": "integration/test_mongod.py"
    "::test_a_wrong_argument_is_said_with_what_the_mongod_said",
    "ImportPathError": "integration/test_import.py::test_nothing_importable_is_said",
    "MartsMissingError": "integration/test_report.py::test_the_command_says_what_to_do_without_a_warehouse",
    "ChecksFailedError": "integration/test_validate.py::test_fewer_documents_than_before "
    "unit/batch/pipeline/test_runner.py::test_a_validation_whose_answer_is_no",
    "MetabaseRefusedError": f"{METABASE}::test_an_account_that_is_no_administrator_is_refused "
    f"{METABASE}::test_an_account_with_a_second_factor_is_refused",
    "MetabaseUnsuitableError": f"{METABASE}::test_an_older_metabase_is_told",
    "Upgrade": f"{DAY}::test_an_upgrade_keeps_the_volumes "
    "integration/test_upgrade.py::test_an_old_warehouse_is_migrated_and_goes_on",
    "Back up and restore": f"{DAY}::test_a_backup_is_restored "
    "integration/test_restore.py::test_a_backup_of_the_landing_zone_is_enough",
    "Move to another machine": f"{DAY}::test_the_data_moves_to_another_machine",
    "Rebuild the warehouse from the landing zone": f"{DAY}"
    "::test_the_warehouse_is_rebuilt_from_the_landing_zone",
    "Rotate credentials": f"{DAY}::test_credentials_are_rotated "
    f"{DAY}::test_prefect_takes_the_place_of_schedule",
    "Capacity": f"{DAY}::test_limits_of_memory_suffice bench/test_bench_capacity.py::test_capacity",
}
"""The tests of each section: they bring about what it is about, and do what it says.

The commands that it names run on containers, too: `test_commands_of_the_runbook_run_in_a_container`. The
rule of each alert is tried by promtool: `test_prometheus_rules.py`.
"""
NOT_RUN = {
    "Without containers": "no systemd runs where tests do: its own program checks the units",
    "ClaudeAnalyticsReconnecting": "mending a network, a disk or a set is the operator's own work",
    "Upgrade": "`git pull`: the checkout of the test is a copy",
    "Rotate credentials": "Grafana's page and Metabase's `rotate-encryption-key`: neither can be had here",
}
"""What of a section no test runs, and why."""


def chapter(title: str) -> dict[str, str]:
    """Return the sections of a chapter by heading."""
    found = re.search(rf"^## {re.escape(title)}$(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert found, f"no chapter `{title}`"
    _, *parts = re.split(r"^### (.+)$", found[1], flags=re.MULTILINE)
    return dict(zip(parts[::2], parts[1::2], strict=True))


def alerts() -> set[str]:
    rules = sorted((ROOT / "deploy" / "prometheus" / "rules").glob("*.yml"))
    return {
        rule["alert"]
        for path in rules
        for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
        for rule in group["rules"]
        if "alert" in rule
    }


def terminal_errors(kind: type[errors.AnalyticsError] = errors.TerminalError) -> Iterator[str]:
    for each in kind.__subclasses__():
        if each.__module__ == errors.__name__:
            yield each.__name__
        yield from terminal_errors(each)


def test_every_alert_and_every_refusal_has_a_section() -> None:
    """The links of the rules lead to them; a refusal is an error with exit code 2."""
    assert alerts()
    assert alerts() <= set(chapter("Alerts"))
    assert set(terminal_errors()) <= set(chapter("Errors with exit code 2"))


@pytest.mark.parametrize("title", ["Alerts", "Errors with exit code 2"])
def test_every_section_answers_the_four_questions(title: str) -> None:
    """What it means, what to look at, what to do, what is safe."""
    answered = {
        heading: re.findall(r"^- \*\*(\w+)\*\*: \S", section, flags=re.MULTILINE)
        for heading, section in chapter(title).items()
    }
    assert dict.fromkeys(answered, PARTS) == answered


def test_every_section_is_run() -> None:
    """Each is run by tests that exist; of what cannot run, a reason is given."""
    _, *parts = re.split(r"^###? (.+)$", TEXT, flags=re.MULTILINE)
    sections = {heading for heading, text in zip(parts[::2], parts[1::2], strict=True) if text.strip()}
    assert sections - {"Start", "Alerts", "Errors with exit code 2"} == set(RUN_BY)
    assert set(NOT_RUN) <= set(RUN_BY)
    named = [each for tests in RUN_BY.values() for each in tests.split()]
    assert [] == [each for each in named if not is_a_test(each)]


def is_a_test(node: str) -> bool:
    path, _, name = node.partition("::")
    text = (ROOT / "tests" / path).read_text(encoding="utf-8")
    return re.search(rf"^ *def {name}\(", text, flags=re.MULTILINE) is not None
