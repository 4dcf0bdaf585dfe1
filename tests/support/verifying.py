"""Makes verifiers for tests: of what a stream runner has loaded."""

from typing import Any

from batch.verify.verify import Verifier
from batch.verify.warehouse_side import DuckDBSide
from stream.clock import utc_now
from stream.landing.dead_letters import DeadLetterStore
from stream.landing.zone import LandingZone
from stream.settings import DataSettings
from tests.support.streaming import StreamRunner


def verifier_of(stream: StreamRunner, **options: Any) -> Verifier:
    """Return a verifier of a runner's collection and data folder.

    Args:
        stream: What it verifies.
        options: Of `Verifier`; `mongo` takes the place of the runner's.
    """
    data = DataSettings(DATA_DIR=stream.folder)
    return Verifier(
        mongo=options.pop("mongo", stream.mongo),
        landing=LandingZone(data.landing_dir, clock=utc_now),
        dead_letters=DeadLetterStore(data.dead_letter_dir, clock=utc_now),
        side=options.pop("side", None) or DuckDBSide(stream.warehouse, lease_timeout_seconds=10),
        **options,
    )
