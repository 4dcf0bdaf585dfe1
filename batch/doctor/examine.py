"""The whole examination: probes, then judgement; a source that is down leaves the rest to be looked at."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from batch.doctor.check import Check, failed
from batch.doctor.facts import Address
from batch.doctor.local import probe_machine
from batch.doctor.machine_checks import judge_machine
from batch.doctor.source import probe_source
from batch.doctor.source_checks import judge_source, unreachable
from batch.doctor.store import examine_store
from stream.clock import Clock, utc_now
from stream.errors import AnalyticsError
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.fenced import FencedZone
from stream.landing.partitions import oldest_position
from stream.landing.zone import LandingZone
from stream.settings import MongoSettings
from stream.source.client import connect
from stream.warehouse.warehouse import Warehouse


def examine_remote(mongo: MongoSettings, landing: FencedZone, *, clock: Clock = utc_now) -> list[Check]:
    """Look at the source, and at the object store of the landing zone; never raises for what it finds."""
    store = examine_store(landing.storage)
    position, problem = None, None
    try:
        position = oldest_position(landing)
    except AnalyticsError as error:
        problem = error
    stream = [failed("stream", problem)] if problem and store[0].level == "ok" else []
    try:
        with connect(mongo) as client:
            facts = probe_source(client, mongo, position, clock=clock)
    except AnalyticsError as error:
        return [*unreachable(error), *store, *stream]
    return [*judge_source(facts, position), *store, *stream]


@dataclass(frozen=True)
class Doctor:
    """Everything the examination needs, made by the command line.

    Attributes:
        addresses: Where metrics are to be served.
    """

    mongo: MongoSettings
    data_dir: Path
    landing: LandingZone
    dead_letters: DeadLetterStore
    warehouse: Warehouse
    addresses: Sequence[Address]
    clock: Clock = utc_now

    def examine(self) -> list[Check]:
        """Look at everything; never raises for what it finds."""
        local = probe_machine(
            self.data_dir, self.landing, self.dead_letters, self.warehouse, self.addresses, clock=self.clock
        )
        try:
            with connect(self.mongo) as client:
                facts = probe_source(client, self.mongo, local.landing.position, clock=self.clock)
        except AnalyticsError as error:
            return [*unreachable(error), *judge_machine(local)]
        return [*judge_source(facts, local.landing.position), *judge_machine(local)]
