"""The Bytewax dataflow: wiring only. Every step is a plain object that works without it."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import bytewax.operators as op
from bytewax.dataflow import Dataflow
from bytewax.operators import StatefulBatchLogic
from bytewax.outputs import DynamicSink, StatelessSinkPartition

from stream.core.change_event import Reply
from stream.core.window import ClosedWindow, NormalisedBatch, Window
from stream.landing.flush import Flusher
from stream.landing.micro_batch import MicroBatch
from stream.source.prefetch import ChangeStreamSource
from stream.stop import StopSignal
from stream.warehouse.loader import Loader, NoLoader

Given = TypeVar("Given")
Made = TypeVar("Made")

_KEY = "stream"
"""Windows are keyed state in Bytewax; there is one lane, so there is one key."""


class Guard:
    """Keeps the errors of steps from Bytewax, which would print a Rust backtrace and abort.

    After the first error no step does anything any more: a window behind one that did not land must not land.

    Args:
        stop: Set with the first error.

    Attributes:
        error: The first error.
    """

    def __init__(self, stop: StopSignal) -> None:
        self.error: Exception | None = None
        self._stop = stop

    def guarded(self, step: Callable[[Given], Made | None]) -> Callable[[Given], Made | None]:
        """Return a step that makes nothing, instead of raising."""

        def run(given: Given) -> Made | None:
            if self.error is not None:
                return None
            try:
                return step(given)
            except Exception as error:  # noqa: BLE001 - raised by the worker, whatever it is
                self.error = error
                self._stop.finish()
                return None

        return run


class _WindowLogic(StatefulBatchLogic[NormalisedBatch, ClosedWindow, None]):
    """Lets a `Window` close by size, by age (ticks arrive all the time) and at the end of the input."""

    def __init__(self, window: Window, monotonic: Callable[[], float]) -> None:
        self._window = window
        self._monotonic = monotonic

    def on_batch(self, values: list[NormalisedBatch]) -> tuple[list[ClosedWindow], bool]:
        closed = [window for batch in values for window in self._window.add(batch, self._monotonic())]
        return closed, StatefulBatchLogic.RETAIN

    def on_eof(self) -> tuple[list[ClosedWindow], bool]:
        return self._window.close(self._monotonic()), StatefulBatchLogic.DISCARD

    def snapshot(self) -> None:
        """Keep nothing in Bytewax: the landing zone holds the position."""


@dataclass
class _LoadPartition(StatelessSinkPartition[tuple[str, MicroBatch | None]]):
    loader: Loader | NoLoader

    def write_batch(self, items: list[tuple[str, MicroBatch | None]]) -> None:
        if any(micro_batch is not None for _, micro_batch in items):
            self.loader.notify()


@dataclass
class LoadSink(DynamicSink[tuple[str, MicroBatch | None]]):
    """Tells the loader that something has landed.

    Unit of parallelism: none; DuckDB has one writer.
    Delivery guarantee: exactly once, by the manifest that is written in the transaction of the rows.
    """

    loader: Loader | NoLoader

    def build(self, step_id: str, worker_index: int, worker_count: int) -> _LoadPartition:  # noqa: ARG002
        """Return the worker's partition."""
        return _LoadPartition(self.loader)


def build_flow(
    *,
    source: ChangeStreamSource,
    guard: Guard,
    normalise: Callable[[Reply | None], NormalisedBatch | None],
    window: Window,
    flusher: Flusher,
    loader: Loader | NoLoader,
    monotonic: Callable[[], float] = time.monotonic,
) -> Dataflow:
    """Wire the steps of the stream: read, normalise, window, land, load."""
    flow = Dataflow("claude_analytics_stream")
    replies = op.input("read_changes", flow, source)
    batches = op.filter_map("normalise", replies, guard.guarded(normalise))
    keyed = op.key_on("key", batches, lambda _batch: _KEY)
    closed = op.stateful_batch("window", keyed, lambda _state: _WindowLogic(window, monotonic))
    landed = op.map_value("land", closed, guard.guarded(flusher.flush))
    op.output("load", landed, LoadSink(loader))
    return flow
