"""The statements of one load, as text: what is put in place, by the rule that the later version wins."""

from collections.abc import Sequence
from dataclasses import dataclass

from batch.lake.landed_files import LANE_OF_FILE, STEM_OF_FILE
from batch.lake.spark_sql import literal, literals
from batch.lake.tables import DOCUMENTS
from stream.core.schema import TRUNCATE_ID

INCREMENT = "landed_increment"
"""View of what is to be loaded: rows of `raw.landed`, with `file` and `pos`."""
COMPARED = "compared_changes"
"""What the merge will put in place, beside the versions it replaces: keys and fields, no content."""
NAMED_KEYS = 20_000
"""Up to so many are written into the statements; Spark looks them up in a set."""

_MARKER = "'truncate', 'floor'"


@dataclass(frozen=True)
class MergeSql:
    """Statements on one catalog.

    Attributes:
        catalog: Name of it.
        load_id: Of the load.
        marker: The highest truncate marker, loaded or about to be; 0 without one.
        has_new_marker: Whether it is higher than the one that is loaded.
        keys: The least and the greatest key to be loaded.
        named_keys: All of them, if they are not too many (`NAMED_KEYS`).
    """

    catalog: str
    load_id: int
    marker: int
    has_new_marker: bool
    keys: tuple[str, str]
    named_keys: Sequence[str] = ()

    @property
    def documents(self) -> str:
        """The table."""
        return f"{self.catalog}.raw.documents"

    def staged(self) -> str:
        """Make the view `staged`: the last change of each document, none that is older than the marker."""
        columns = ", ".join(f"`{name}`" for name in DOCUMENTS)
        named = ", ".join(
            "case when op = 'floor' then 'truncate' else op end as op" if name == "op" else f"`{name}`"
            for name in DOCUMENTS
            if name != "micro_batch_id"
        )
        return f"""
            create or replace temporary view staged as
            select {columns} from (
                select *, row_number() over (
                    partition by _id order by source_version desc, micro_batch_id desc, pos desc
                ) as place
                from (
                    select {named}, pos, concat({LANE_OF_FILE}, '/', {STEM_OF_FILE}) as micro_batch_id
                    from {INCREMENT}
                    where source_version >= {self.marker} or op in ({_MARKER})
                ) as named
            ) as ranked
            where place = 1
            """

    def compared(self) -> str:
        """Make the view `COMPARED`."""
        return f"""
            create or replace temporary view {COMPARED} as
            select
                staged.op, staged.session_id, staged.source_file, staged.uuid, staged.message_id,
                old.op as old_op, old.session_id as old_session_id, old.uuid as old_uuid,
                old.source_file as old_source_file, old.message_id as old_message_id,
                old.source_version as old_version
            from staged
            left join {self.documents} as old on staged._id = old._id and {self._near("old")}
            where old.source_version is null or old.source_version <= staged.source_version
            """

    def changed_lines(self) -> str:
        """Note the lines of old and new versions."""
        return f"""
            insert into {self.catalog}.raw.changed_lines
            select cast({self.load_id} as bigint), session_id, source_file, uuid, message_id
            from {COMPARED} where op = 'upsert'
            union
            select
                cast({self.load_id} as bigint), old_session_id, old_source_file, old_uuid, old_message_id
            from {COMPARED} where old_op = 'upsert'
            """

    def counts(self) -> str:
        """Ask how many documents the merge writes, and how many its deletes remove beside a sweep."""
        return f"""
            select
                count_if(op = 'upsert'),
                count_if(op = 'delete' and old_op = 'upsert' and old_version >= {self.marker})
            from {COMPARED}
            """

    def _near(self, table: str) -> str:
        """Return what every row of a table fulfils that the load can meet.

        Files without a key between the least and the greatest are not read at all: keys that MongoDB makes
        grow with time. Rows that have none of the keys go before the join, which else shuffles and sorts the
        whole table, as it keeps the rows of the small side and so cannot broadcast them.
        """
        least, greatest = self.keys
        near = f"{table}._id between {literal(least)} and {literal(greatest)}"
        return f"{near} and {table}._id in {literals(self.named_keys)}" if self.named_keys else near

    def swept(self) -> str:
        """Ask how many documents are older than a new marker."""
        return f"select count(*) from {self.documents} where op = 'upsert' and source_version < {self.marker}"

    def merge(self) -> str:
        """Put the staged changes in place, in one commit."""
        outdated = f"when not matched by source and target.source_version < {self.marker} then delete"
        near, sweep = f"and {self._near('target')}", ""
        if self.has_new_marker:  # looks at every row
            near, sweep = "", outdated
        return f"""
            merge into {self.documents} as target using staged as source
            on target._id = source._id {near}
            when matched and source.source_version >= target.source_version then update set *
            when not matched then insert *
            {sweep}
            """

    def replace_all(self, seen: int | None) -> str:
        """Put the staged changes in the place of all rows, in one commit.

        Args:
            seen: Newest snapshot of the table; refused if another was committed since. None if there is none.
        """
        options = {"isolation-level": "serializable", "validate-from-snapshot-id": str(seen)} if seen else {}
        named = ", ".join(f"'{name}' = '{value}'" for name, value in options.items())
        return f"""
            insert into {self.documents} {f"with ({named})" if named else ""} replace where true
            select * from staged
            """


def marker_in(relation: str) -> str:
    """Ask for the highest truncate marker of a table or view; 0 without one."""
    return (
        f"select coalesce(max(source_version), 0) from {relation} "
        f"where _id = '{TRUNCATE_ID}' and op in ({_MARKER})"
    )
