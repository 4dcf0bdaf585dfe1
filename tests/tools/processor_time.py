"""Processor time of each test, whoever spent it: `make test ARGS='-p tests.tools.processor_time'`.

Unlike seconds by the clock, it hardly depends on what else a machine does. A process counts where it is
waited for, so the servers that all tests share count for the last one.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest

_NAME = "processor_seconds"
_BEGUN = pytest.StashKey[float]()
_LONG_SECONDS = 10


def _used() -> float:
    """Return the seconds that this process and all that it has waited for have taken so far."""
    return sum(os.times()[:4])


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Begin to count."""
    item.stash[_BEGUN] = _used()
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Note what a test has taken, in the last of its reports."""
    if call.when == "teardown":
        item.user_properties.append((_NAME, _used() - item.stash[_BEGUN]))
    return (yield)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print what each file took, and each long test."""
    tests = {
        report.nodeid: dict(report.user_properties)[_NAME]
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", "") == "teardown"
    }
    files: Counter[str] = Counter()
    for name, seconds in tests.items():
        files[name.partition("::")[0]] += seconds
    terminalreporter.section(f"{sum(tests.values()):,.0f} s of processors")
    long = {name: seconds for name, seconds in tests.items() if seconds >= _LONG_SECONDS}
    for found in (files, long):
        for name, seconds in Counter(found).most_common():
            terminalreporter.write_line(f"{seconds:8.1f}  {name}")
