"""A second process for the demo: loads what takes seconds to load while the first still imports and streams.

It has dbt parse the project, so that the build finds that done; then it loads Great Expectations, and
validates when it is asked to. It ends with its owner, however that ends: the pipe between them closes.
"""

import multiprocessing
import signal
import warnings
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Self

from rich.console import Console

from batch.cli.context import Context
from batch.cli.cycle import make_cycle, make_dbt_project
from batch.pipeline.runner import StepResult
from batch.settings import Settings
from stream import logs
from stream.decode.memory import rare_garbage_collection
from stream.errors import AnalyticsError, StepFailedError

_GRACE_SECONDS = 5.0

_Answer = tuple[StepResult | None, tuple[type[AnalyticsError], str, str] | None]


class Companion:
    """The process; a context manager, not thread-safe.

    Args:
        settings: Of the demo, its own files and MongoDB named.
    """

    def __init__(self, settings: Settings) -> None:
        # Nothing of this process is to be inherited: not its threads, not the other end of the pipe.
        spawn = multiprocessing.get_context("spawn")
        self._connection, self._theirs = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(self._theirs, settings), daemon=True)

    def __enter__(self) -> Self:
        self._process.start()
        self._theirs.close()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._connection.close()
        self._process.join(0 if error else _GRACE_SECONDS)
        self._process.kill()
        self._process.join()

    def wait_until_parsed(self) -> None:
        """Wait until dbt may be called here; if that went wrong, it does it again itself, and says why."""
        self._receive()

    def validate(self, run_id: str) -> StepResult:
        """Check everything, as the step of a run.

        Raises:
            AnalyticsError: What the step raised; the process itself may have ended.
        """
        try:
            self._connection.send(run_id)
        except OSError as error:
            raise _ended() from error
        answer = self._receive()
        if answer is None:
            raise _ended()
        result, problem = answer
        failure = None if problem is None else problem[0](problem[1], hint=problem[2])
        if result is None:
            raise failure or _ended()
        return replace(result, error=failure)

    def _receive(self) -> _Answer | None:
        try:
            answer: _Answer = self._connection.recv()
        except (EOFError, OSError):
            return None
        return answer


def _ended() -> StepFailedError:
    return StepFailedError("the process that validates has ended", hint="run `claude-analytics validate`")


def _serve(connection: Connection, settings: Settings) -> None:
    # Ctrl-C reaches the whole group; the owner decides.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logs.configure(settings.logging, level="warning")
    with rare_garbage_collection():
        _parse_and_validate(connection, settings)


def _parse_and_validate(connection: Connection, settings: Settings) -> None:
    context = Context(settings, Console(quiet=True))
    with suppress(AnalyticsError):  # the build meets it, too
        project = make_dbt_project(context)
        project.invoke(project.arguments("parse", "--no-write-json"))  # the build writes it
    try:
        connection.send((None, None))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import great_expectations  # noqa: F401, PLC0415 - takes seconds, which is the point
        run_id: str = connection.recv()
        connection.send(_validated(context, run_id))
    except (EOFError, OSError):
        return  # the owner has gone


def _validated(context: Context, run_id: str) -> _Answer:
    try:
        result = make_cycle(context, run_id).validate()
    except AnalyticsError as error:
        return None, (type(error), error.message, error.hint)
    failure = result.error
    if failure is None:
        return result, None
    return replace(result, error=None), (type(failure), failure.message, failure.hint)
