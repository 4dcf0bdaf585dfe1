"""Log lines: for people on a terminal, JSON otherwise; one per micro-batch and per step."""

import logging
import sys
from typing import TextIO

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, WrappedLogger

from stream.errors import mask_secrets
from stream.settings import LoggingSettings

Logger = FilteringBoundLogger


def configure(settings: LoggingSettings, *, level: str | None = None, output: TextIO = sys.stderr) -> None:
    """Set up logging for the whole process; called once, by the command line.

    Args:
        settings: How lines look.
        level: Takes the place of the setting.
        output: Where they go.
    """
    is_console = settings.format == "console" or (settings.format == "auto" and output.isatty())
    renderer = (
        structlog.dev.ConsoleRenderer(
            colors=output.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if is_console
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _mask,  # behind what turns exceptions into text
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(
            getattr(logging, (level or settings.level).upper())
        ),
        logger_factory=structlog.WriteLoggerFactory(file=output),
        cache_logger_on_first_use=False,
    )


def logger(name: str) -> Logger:
    """Return the logger of one part of the program."""
    found: Logger = structlog.get_logger(part=name)
    return found


def _mask(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
    return {key: _masked(value) for key, value in event.items()}


def _masked(value: object) -> object:
    if isinstance(value, str):
        return mask_secrets(value)
    if isinstance(value, dict):
        return {key: _masked(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_masked(inner) for inner in value]
    # An exception, a path: what the renderer would print.
    return value if value is None or isinstance(value, int | float) else mask_secrets(str(value))
