"""What an archive is, told without storing anything: the same reading, in a scratch folder that is gone at the end."""

from __future__ import annotations

import io
import tempfile
import threading
from collections.abc import Callable
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from scandock.model.errors import BadInput, Fault
from scandock.model.importing import ImportOptions, Progress
from scandock.model.verdicts import ImportState
from scandock.queue.tokens import new_token, new_uuid
from scandock.rules.mapping import MappingRow
from scandock.rules.policy import Request, SiteRules
from scandock.store.local import LocalStore
from scandock.workers.reading import Reading
from scandock.workers.results import ImportResult, make_report

if TYPE_CHECKING:
    from scandock.pipeline.flow import Reporter
    from scandock.pipeline.survey import Wish
    from scandock.services.settings import Settings


def run_inspect(
    *,
    archive: str,
    options: ImportOptions,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None,
    cancelled: threading.Event,
) -> ImportResult:
    """Read one archive and tell what an import into an empty DATA would make of it. Raises Usage for a bad mapping."""
    reading = Reading(archive, options, settings, on_progress, cancelled)
    with tempfile.TemporaryDirectory(prefix="scandock-") as folder:
        store = LocalStore(folder)
        store.prepare()
        try:
            return _inspect(store, reading)
        finally:
            reading.close()
            store.close()


def _inspect(store: LocalStore, reading: Reading) -> ImportResult:
    def report(state: ImportState, code: str, message: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        seconds, received = reading.listening.seconds(), reading.received
        return make_report(None, reading.archive, state, code, message, received=received, seconds=seconds, **more)

    from scandock.workers.site import read_mapping

    mapping = read_mapping(reading.options)
    reading.start()
    stage = store.begin(new_uuid(), new_token())
    try:
        try:
            reading.read(store, stage, frozenset(), lambda: False, keep=False)
        except BadInput as error:
            return _refused(reading, error, report)
        from scandock.pipeline.survey import survey

        assert reading.ledger is not None
        made = survey(reading.ledger, stage, reading.listening, _wish(reading, mapping), report)
    except InterruptedError:
        return ImportResult(report(ImportState.CANCELLED, "cancelled", "The inspection was cancelled."), None)
    except Fault as error:
        return ImportResult(report(ImportState.FAILED, error.code, str(error)), None)
    finally:
        stage.close()
    return ImportResult(made, _receipt(reading))


def _wish(reading: Reading, mapping: tuple[MappingRow, ...]) -> Wish:
    from scandock.pipeline.survey import Wish

    options, settings = reading.options, reading.settings
    return Wish(
        request=Request(
            project=options.project,
            subject=options.subject,
            session=options.session,
            destination=options.destination,
            overwrite=options.overwrite,
            mapping=mapping,
        ),
        site=SiteRules(placeholders=settings.placeholder_names),
        zone=settings.zone,
        started=datetime.now(settings.zone),
        resources=options.resources,
        ignore_unparsable=options.ignore_unparsable,
    )


def _refused(reading: Reading, error: BadInput, report: Reporter) -> ImportResult:
    from scandock.pipeline.flow import refused_report

    reading.stop()
    if reading.ledger is not None:
        reading.note_unread()
    assert reading.ledger is not None
    return ImportResult(refused_report(reading.ledger, error, reading.listening, report), _receipt(reading))


def _receipt(reading: Reading) -> Callable[[], IO[bytes]] | None:
    """The receipt's lines, kept compressed in memory where the caller said that it will ask for them."""
    if not reading.options.receipt or reading.ledger is None:
        return None
    from scandock.pipeline.tell import pack_receipt

    packed = io.BytesIO()
    pack_receipt(reading.ledger, reading.archive, {}, packed)
    kept = packed.getvalue()
    return lambda: io.BytesIO(kept)
