"""Asks what dashboards ask, until its standard input ends; a script, run by the soak test.

    python soak_reader.py <views file>

Prints one JSON object: queries asked, slowest query, builds seen, and problems.
"""

import json
import sys
import time

import duckdb

from tests.support.readers import end_of_input

_QUERIES = (
    "select max(started_sessions), sum(cost_usd), count(*) from marts.agg_daily_summary",
    """
    select dim_sessions.project_id, count(*), sum(fct_messages.content_length)
    from marts.fct_messages inner join marts.dim_sessions using (session_key)
    where fct_messages.role = 'user' group by all order by all
    """,
    """
    select dim_tools.tool_name, count(*) from marts.fct_tool_calls inner join marts.dim_tools using (tool_key)
    group by all order by all
    """,
    "select count(*), sum(messages) from live.conversations",
    "select * from live.messages_per_minute order by minute desc, role limit 5",
)


def main() -> None:
    """Read until told to stop."""
    path = sys.argv[1]
    stop = end_of_input()
    queries, slowest, problems, answers = 0, 0.0, [], set()
    connection = duckdb.connect(path, read_only=True, config={"threads": 1})
    while not stop.wait(0.1):
        for query in _QUERIES:
            started = time.monotonic()
            try:
                answer = connection.execute(query).fetchall()
            except duckdb.Error as error:
                problems.append(f"{type(error).__name__}: {error} asking {query}")
                continue
            slowest = max(slowest, time.monotonic() - started)
            queries += 1
            answers.add((query, repr(answer)))
    told = {
        "queries": queries,
        "slowest_seconds": round(slowest, 3),
        "different_answers": len(answers),
        "problems": problems[:10],
    }
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    main()
