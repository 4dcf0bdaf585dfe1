"""Every rule and alert of `deploy/prometheus`, tried by promtool on series made by hand."""

import json
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.prometheus import FOLDER, promtool

pytestmark = pytest.mark.integration
STREAM = 'job="claude-analytics-stream",instance="stream:9464"'
SCHEDULE = 'job="claude-analytics-schedule",instance="schedule:9466"'
RULES = [
    rule
    for path in sorted((FOLDER / "rules").glob("*.yml"))
    for group in yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
UNKNOWN = "NaN " * 21
ALERTS = {rule["alert"]: rule for rule in RULES if "alert" in rule}


@dataclass(frozen=True)
class Case:
    """Series, one sample a minute, and when an alert fires for them.

    Attributes:
        alert: Its name.
        story: What happens, in a few words.
        series: Name and labels, and values in promtool's notation.
        fires_at: Minutes at which it fires.
        quiet_at: Minutes at which it does not.
    """

    alert: str
    story: str
    series: Mapping[str, str]
    fires_at: Sequence[int] = ()
    quiet_at: Sequence[int] = ()


def stream(name: str, labels: str = "") -> str:
    """Name a series of the stream worker."""
    return f"claude_analytics_stream_{name}{{{STREAM}{labels}}}"


def batch(name: str, labels: str = "") -> str:
    """Name a series of the scheduler."""
    return f"claude_analytics_batch_{name}{{{SCHEDULE}{labels}}}"


def disk(name: str) -> str:
    """Name a series of the disk."""
    return f"claude_analytics_disk_{name}{{{STREAM}}}"


CASES = (
    Case("TargetDown", "stream stops after 5 minutes", {f"up{{{STREAM}}}": "1x5 0x10"}, [9], [5, 7]),
    Case("TargetDown", "somebody else's target", {'up{job="node"}': "0x10"}, [], [9]),
    Case(
        "SourceUnreachable",
        "the last answer is of minute 10",
        {stream("last_reply_timestamp_seconds"): "0+60x10 600x20"},
        [15],
        [10, 12],
    ),
    Case("SourceUnreachable", "no answer yet", {stream("last_reply_timestamp_seconds"): UNKNOWN}, [], [20]),
    Case("Reconnecting", "once a minute", {stream("reconnects_total"): "0+1x40"}, [25], [4]),
    Case("Reconnecting", "once", {stream("reconnects_total"): "0x9 1x40"}, [], [10, 15, 30]),
    Case(
        "MajorityLost",
        "members are down from minute 5 on",
        {stream("majority_lag_seconds"): "0x5 0+60x10"},
        [10],
        [4, 6],
    ),
    Case(
        "MajorityLost", "a majority is slow", {stream("majority_lag_seconds"): "0 2 0 12 5 0x10"}, [], [4, 9]
    ),
    Case(
        "StreamRestarting",
        "a start every five minutes",
        {f"process_start_time_seconds{{{STREAM}}}": "0x5 300x5 600x5 900x5 1200x5 1200x60"},
        [26],
        [10, 80],
    ),
    Case(
        "LagHigh",
        "two minutes behind, then none",
        {stream("durable_lag_seconds"): "120x10 0x9"},
        [6],
        [4, 12],
    ),
    Case(
        "StreamStalled",
        "the source moves, nothing is read from minute 10 on",
        {
            stream("source_timestamp_seconds"): "1000+60x40",
            stream("position_timestamp_seconds"): "1000+60x10 1600x30",
            stream("events_total", ',op="insert"'): "0+100x10 1000x30",
        },
        [25],
        [10, 16],
    ),
    Case(
        "StreamStalled",
        "far behind, but reading",
        {
            stream("source_timestamp_seconds"): "9000+60x40",
            stream("position_timestamp_seconds"): "1000+60x40",
            stream("events_total", ',op="insert"'): "0+100x40",
        },
        [],
        [30],
    ),
    Case("HeadroomLow", "23 hours", {stream("oplog_headroom_seconds"): "82800x20"}, [15], [5]),
    Case("HeadroomLow", "two days", {stream("oplog_headroom_seconds"): "172800x20"}, [], [15]),
    Case("HeadroomLow", "not known", {stream("oplog_headroom_seconds"): UNKNOWN}, [], [15]),
    Case(
        "HeadroomCritical",
        "falls, from an hour on",
        {stream("oplog_headroom_seconds"): "4200-60x60"},
        [20],
        [9],
    ),
    Case("HeadroomCritical", "small, but steady", {stream("oplog_headroom_seconds"): "3000x60"}, [], [20]),
    Case(
        "DeadLetters",
        "one rejection",
        {stream("dead_letters_total", ',reason="bad_date"'): "0x9 1x120"},
        [12, 60],
        [8, 100],
    ),
    Case(
        "DeadLettersMany",
        "every tenth",
        {
            stream("events_total", ',op="insert"'): "0+100x60",
            stream("dead_letters_total", ',reason="bad_date"'): "0+10x60",
        },
        [20],
        [8],
    ),
    Case(
        "DeadLettersMany",
        "one of a hundred",
        {
            stream("events_total", ',op="insert"'): "0+100x60",
            stream("dead_letters_total", ',reason="bad_date"'): "0+1x60",
        },
        [],
        [30],
    ),
    Case("LoadBehind", "nothing is loaded any more", {stream("load_lag_seconds"): "0+60x60"}, [40], [30]),
    Case(
        "PendingPileUp", "600 files, for an hour", {stream("pending_micro_batches"): "0x9 600x60"}, [46], [35]
    ),
    Case(
        "PendingPileUp",
        "empty now and then",
        {stream("pending_micro_batches"): "600x9 0 600x20 0 600x9"},
        [],
        [39],
    ),
    Case("BuildStale", "no new build", {batch("build_age_seconds"): "0+60x150"}, [130], [60, 121]),
    Case("NoBuild", "never one", {batch("build_age_seconds"): "-1x150"}, [121], [110]),
    Case("BuildStale", "never one", {batch("build_age_seconds"): "-1x150"}, [], [140]),
    Case(
        "ChecksFailed",
        "a failed validation between two good ones",
        {
            batch("last_run_timestamp_seconds", ',step="validate"'): "60x9 600x9 1200x9",
            batch("last_success_timestamp_seconds", ',step="validate"'): "60x9 60x9 1200x9",
        },
        [12, 18],
        [5, 24],
    ),
    Case(
        "ChecksFailed",
        "the very first one failed",
        {batch("last_run_timestamp_seconds", ',step="validate"'): "60x9"},
        [5],
    ),
    Case(
        "StepFailed",
        "a build that failed, then one that did not",
        {
            batch("last_run_timestamp_seconds", ',step="transform"'): "60x9 600x9",
            batch("last_success_timestamp_seconds", ',step="transform"'): "0x9 600x9",
        },
        [5],
        [15],
    ),
    Case(
        "StepFailed",
        "a validation has an alert of its own",
        {batch("last_run_timestamp_seconds", ',step="validate"'): "60x9"},
        [],
        [5],
    ),
    Case(
        "DiskLow", "a twentieth is left", {disk("free_bytes"): "5x10", disk("size_bytes"): "100x10"}, [7], [3]
    ),
    Case("DiskLow", "a fifth is left", {disk("free_bytes"): "20x10", disk("size_bytes"): "100x10"}, [], [7]),
    Case(
        "DiskFilling",
        "a thousandth each minute",
        {disk("free_bytes"): "390-1x200", disk("size_bytes"): "1000x200"},
        [60],
        [20],
    ),
    Case(
        "DiskFilling",
        "much is left",
        {disk("free_bytes"): "900-1x200", disk("size_bytes"): "1000x200"},
        [],
        [60],
    ),
)


@dataclass(frozen=True)
class Recorded:
    """What a recording rule makes of series, one sample a minute."""

    rule: str
    series: Mapping[str, str]
    expected: Mapping[str, float]
    minute: int = 30


RECORDED = (
    Recorded(
        "instance_op:claude_analytics_stream_events:rate5m",
        {stream("events_total", ',op="insert"'): "0+60x60", stream("events_total", ',op="delete"'): "0x60"},
        {f'{{{STREAM},op="insert"}}': 1, f'{{{STREAM},op="delete"}}': 0},
    ),
    Recorded(
        "instance:claude_analytics_stream_dead_letters:increase1h",
        {
            stream("dead_letters_total", ',reason="a"'): "0+1x120",
            stream("dead_letters_total", ',reason="b"'): "0+2x120",
        },
        {f"{{{STREAM}}}": 180},
        minute=90,
    ),
    Recorded(
        "instance:claude_analytics_stream_dead_letters:ratio_rate1h",
        {
            stream("events_total", ',op="insert"'): "0+100x90",
            stream("dead_letters_total", ',reason="a"'): "0+5x90",
        },
        {f"{{{STREAM}}}": 0.05},
    ),
    Recorded(
        "instance:claude_analytics_stream_flush_seconds:p95_5m",
        {
            stream("flush_seconds_bucket", ',le="0.1"'): "0+0x60",
            stream("flush_seconds_bucket", ',le="0.3"'): "0+10x60",
            stream("flush_seconds_bucket", ',le="+Inf"'): "0+10x60",
        },
        {f"{{{STREAM}}}": 0.29},
    ),
    Recorded(
        "instance:claude_analytics_stream_position_lag_seconds:difference",
        {stream("source_timestamp_seconds"): "1060x60", stream("position_timestamp_seconds"): "1000x60"},
        {f"{{{STREAM}}}": 60},
    ),
    Recorded(
        "instance_step:claude_analytics_batch_last_run:failed",
        {
            batch("last_run_timestamp_seconds", ',step="load"'): "60x60",
            batch("last_success_timestamp_seconds", ',step="load"'): "60x60",
            batch("last_run_timestamp_seconds", ',step="publish"'): "90x60",
            batch("last_success_timestamp_seconds", ',step="publish"'): "30x60",
            batch("last_run_timestamp_seconds", ',step="extract"'): "90x60",
        },
        {
            f'{{{SCHEDULE},step="load"}}': 0,
            f'{{{SCHEDULE},step="publish"}}': 1,
            f'{{{SCHEDULE},step="extract"}}': 1,
        },
    ),
    Recorded(
        "instance:claude_analytics_disk_free:ratio",
        {disk("free_bytes"): "25x60", disk("size_bytes"): "100x60"},
        {f"{{{STREAM}}}": 0.25},
    ),
)


def a_test(name: str, series: Mapping[str, str], expected: list[dict[str, Any]]) -> dict[str, Any]:
    """Write one test as promtool wants it."""
    return {
        "name": name,
        "interval": "1m",
        "input_series": [{"series": each, "values": values} for each, values in series.items()],
        "promql_expr_test": expected,
    }


def _firing(alert: str) -> str:
    return f'ALERTS{{alertname="ClaudeAnalytics{alert}",alertstate="firing"}}'


def run_promtool(folder: Path, tests: list[dict[str, Any]]) -> None:
    """Let promtool evaluate the rules for each test, and compare; it names those that fail."""
    story = {
        "rule_files": [str(path) for path in sorted((FOLDER / "rules").glob("*.yml"))],
        "evaluation_interval": "1m",
        "tests": tests,
    }
    file = folder / "test.yml"
    file.write_text(json.dumps(story), encoding="utf-8")  # JSON is YAML
    said = subprocess.run(
        [promtool(), "test", "rules", str(file)], capture_output=True, text=True, check=False
    )
    assert 0 == said.returncode, said.stdout + said.stderr


def test_alerts_fire_when_they_should(tmp_path: Path) -> None:
    """While their condition has held for long enough, and at no other time."""
    run_promtool(
        tmp_path,
        [
            a_test(
                f"{case.alert}: {case.story}",
                case.series,
                [
                    {
                        "expr": f"count({_firing(case.alert)}) or vector(0)",
                        "eval_time": f"{minute}m",
                        "exp_samples": [{"labels": "{}", "value": value}],
                    }
                    for value, minutes in ((1, case.fires_at), (0, case.quiet_at))
                    for minute in minutes
                ],
            )
            for case in CASES
        ],
    )


def test_recording_rules_compute_what_they_say(tmp_path: Path) -> None:
    """Rates, shares and differences, by instance."""
    run_promtool(
        tmp_path,
        [
            a_test(
                recorded.rule,
                recorded.series,
                [
                    {
                        # Rounded: promtool compares floating-point numbers to the last digit.
                        "expr": f"round({recorded.rule}, 0.001)",
                        "eval_time": f"{recorded.minute}m",
                        "exp_samples": [
                            {"labels": labels, "value": value} for labels, value in recorded.expected.items()
                        ],
                    }
                ],
            )
            for recorded in RECORDED
        ],
    )


def test_a_rule_that_is_wrong_is_noticed(tmp_path: Path) -> None:
    """The comparison itself can fail."""
    wrong = {"expr": "vector(1)", "eval_time": "1m", "exp_samples": [{"labels": "{}", "value": 2}]}
    with pytest.raises(AssertionError, match="FAILED"):
        run_promtool(tmp_path, [a_test("wrong", {"up": "1x5"}, [wrong])])


def test_every_rule_is_tried() -> None:
    """Each alert fires in one case and is quiet in one, at least; each recorded series has a case."""
    assert {name.removeprefix("ClaudeAnalytics") for name in ALERTS} == {
        case.alert for case in CASES if case.fires_at
    }
    assert {case.alert for case in CASES} == {case.alert for case in CASES if case.quiet_at}
    assert {rule["record"] for rule in RULES if "record" in rule} == {each.rule for each in RECORDED}


def test_promtool_accepts_configuration_and_rules() -> None:
    """With its lint, as Prometheus itself would at its start."""
    for arguments in (
        ["check", "config", str(FOLDER / "prometheus.yml")],
        ["check", "rules", "--lint=all", "--lint-fatal", *map(str, (FOLDER / "rules").glob("*.yml"))],
    ):
        said = subprocess.run([promtool(), *arguments], capture_output=True, text=True, check=False)
        assert 0 == said.returncode, said.stdout + said.stderr


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_to_do(name: str) -> None:
    """Severity, summary, description and the place in the runbook."""
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description", "runbook_url"} == rule["annotations"].keys()
    assert f"deploy/RUNBOOK.md#{name.lower()}" == rule["annotations"]["runbook_url"]
    assert re.match(r"ClaudeAnalytics[A-Z]\w+$", name)
