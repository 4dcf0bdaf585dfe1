"""Forgets what every model has seen: the lines that loads have changed."""

import duckdb


def prune_changed_lines(connection: duckdb.DuckDBPyConnection) -> int:
    """Delete the rows of `raw.changed_lines` that no model will ask for again; give their number.

    A model asks for the loads behind the one it has seen; one that has never been built asks for everything.

    Args:
        connection: To the warehouse.
    """
    has_log = connection.execute(
        "select 1 from duckdb_tables() where database_name = current_database() "
        "and schema_name = 'ops' and table_name = 'model_inputs'"
    ).fetchone()
    if not has_log:
        return 0
    (removed,) = connection.execute(
        """
        delete from raw.changed_lines where load_id <= (
            select min(input_sequence) from ops.model_inputs where input = 'raw'
        )
        """
    ).fetchall()[0]
    return int(removed)
