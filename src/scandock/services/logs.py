"""The log of every process of the server: one JSON object a line on standard error.

Lines hold ids, codes and figures, and nothing that may identify a person: no label, no name of an account, a file or an
archive. So of an error its kind and where it came from are told, never its words, which may quote what was being read;
and addresses are told as the route's pattern.
"""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import MutableMapping
from types import TracebackType
from typing import Any, Final

import structlog
from structlog.contextvars import bind_contextvars
from structlog.typing import EventDict, FilteringBoundLogger, Processor

from scandock.model.errors import ScandockError
from scandock.model.upload_log import set_step_sink

_ID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
FRAMES: Final = 12
"""The innermost frames of an error that are told."""


def log() -> FilteringBoundLogger:
    """The logger; what a request binds (its id, its upload's) goes along."""
    logger: FilteringBoundLogger = structlog.get_logger("scandock")
    return logger


def configure_logging(process: str, level: str = "info") -> FilteringBoundLogger:
    """Log as `process` from now on, from `level` up; of what libraries log, warnings and worse come the same way."""
    number = logging.getLevelNamesMapping()[level.upper()]

    def named(_: object, __: str, line: EventDict) -> EventDict:
        return {**line, "process": process}

    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        named,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="at"),
        _strip_message,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(number),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger("scandock").setLevel(number)
    for name in ("uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers[:] = []
        logger.propagate = True
        logger.setLevel(logging.NOTSET)
    logging.getLogger("uvicorn.access").disabled = True
    set_step_sink(write_step)
    return log()


def write_step(step: str, **facts: Any) -> None:  # noqa: ANN401  figures, ids and codes
    """Write a step of an upload (`model/upload_log.py`)."""
    log().info(step, **facts)


def bind_upload(upload: str, **facts: Any) -> None:  # noqa: ANN401  figures, ids and codes
    """Let all lines that this request, or this process, writes from now on carry the id of an upload.

    What a client says is an upload's id and is none, as a label in an address, does not come into the log.
    """
    if _ID.fullmatch(upload):
        bind_contextvars(upload=upload, **facts)


def error_location(error: BaseException) -> list[str]:
    """Where an error came from, the innermost last: `module.py:line function`, and no value."""
    return _format_frames(error.__traceback__)


def error_code(error: BaseException) -> str:
    """What an error is called: its code, or its kind where it has none."""
    return error.code if isinstance(error, ScandockError) else type(error).__name__


def error_cause(error: BaseException) -> str | None:
    """What a failure was made of: the kind and number of the system's error, or the kind of another one."""
    original = error.__cause__
    if original is None:
        return None
    number = getattr(original, "errno", None)
    return f"{type(original).__name__} {number}" if isinstance(number, int) else type(original).__name__


def _strip_message(_: object, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """An error that was handed over, told by its kind and its frames alone."""
    exc_info = line.pop("exc_info", None)
    line.pop("stack_info", None)
    if exc_info is True:
        exc_info = sys.exc_info()
    if isinstance(exc_info, BaseException):
        exc_info = (type(exc_info), exc_info, exc_info.__traceback__)
    if isinstance(exc_info, tuple) and exc_info[0] is not None:
        line["error"] = exc_info[0].__name__
        line["where"] = _format_frames(exc_info[2])
    return line


def _format_frames(trace: TracebackType | None) -> list[str]:
    frames = traceback.extract_tb(trace)[-FRAMES:]
    return [f"{'/'.join(frame.filename.split('/')[-3:])}:{frame.lineno} {frame.name}" for frame in frames]
