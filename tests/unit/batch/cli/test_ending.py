"""How the process ends while threads of it are inside native code."""

import subprocess
import sys

import pytest

_BESIDE_A_QUERY = """
import sys, threading
import duckdb
from batch.cli.ending import ending_beside_threads

running = threading.Event()

def slow(number: int) -> int:
    running.set()
    return number

def query() -> None:
    connection = duckdb.connect()
    connection.create_function("slow", slow)
    while True:
        connection.execute("select sum(slow(i)) from range(100_000) numbers(i)").fetchall()

with ending_beside_threads():
    threading.Thread(target=query, daemon=True).start()
    running.wait()
    print("the last word")
    {ending}
"""


@pytest.mark.parametrize(
    ("ending", "exit_code"),
    [("sys.exit(143)", 143), ("sys.exit()", 0), ("pass", 0), ("raise RuntimeError('a defect')", 1)],
)
def test_a_thread_inside_a_query_does_not_change_the_exit_code(ending: str, exit_code: int) -> None:
    """DuckDB calls Python in the query, so the thread asks for the interpreter while that shuts down."""
    ended = subprocess.run(
        [sys.executable, "-c", _BESIDE_A_QUERY.format(ending=ending)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert exit_code == ended.returncode
    assert "the last word\n" == ended.stdout
    assert ("a defect" in ended.stderr) == (exit_code == 1)
