"""What an archive is, told without storing anything: the same reading, in a scratch folder that is gone at the end."""

from __future__ import annotations

import contextlib
import io
import tempfile
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import IO, TYPE_CHECKING, Any

from scandock.model.errors import BadInput, Fault
from scandock.model.importing import Progress
from scandock.model.verdicts import ImportState
from scandock.queue.tokens import new_token, new_uuid
from scandock.store.local import LocalStore
from scandock.workers.reading import Reading
from scandock.workers.results import ImportResult, make_report

if TYPE_CHECKING:
    from scandock.pipeline.flow import Reporter
    from scandock.pipeline.job import Tools
    from scandock.rules.import_request import ImportRequest
    from scandock.services.settings import Settings
    from scandock.store.port import Stage
    from scandock.workers.site import Site


def run_inspect(
    *,
    data: str | None,
    archive: str,
    request: ImportRequest,
    settings: Settings,
    on_progress: Callable[[Progress], None] | None,
    cancelled: threading.Event,
) -> ImportResult:
    """Read one archive and tell what an import into an empty DATA would make of it.

    Projects and site rules are those of `data`, where that is named and there; what it has of a patient, a study or an
    ECAT file elsewhere is warned of. Raises Usage where import would.
    """
    reading = Reading(archive, request, settings, on_progress, cancelled)
    with tempfile.TemporaryDirectory(prefix="scandock-") as folder:
        store = LocalStore(folder)
        store.prepare()
        try:
            return _inspect(store, reading, data)
        finally:
            reading.close()
            store.close()


def _inspect(store: LocalStore, reading: Reading, data: str | None) -> ImportResult:
    def report(state: ImportState, code: str, message: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401
        seconds, received = reading.listening.seconds(), reading.received
        return make_report(None, reading.archive, state, code, message, received=received, seconds=seconds, **more)

    reading.start()
    stage = store.begin(new_uuid(), new_token())
    try:
        with _site(store, reading, data) as site:
            return _tell(store, stage, reading, site, report)
    except InterruptedError:
        return ImportResult(report(ImportState.CANCELLED, "cancelled", "The inspection was cancelled."), None)
    except Fault as error:
        return ImportResult(report(ImportState.FAILED, error.code, str(error)), None)
    finally:
        stage.close()


@contextlib.contextmanager
def _site(store: LocalStore, reading: Reading, data: str | None) -> Iterator[Site]:
    """What stands around the inspection, its request checked as import checks it."""
    from scandock.workers.site import scratch_site

    site = scratch_site(store.path, data, reading.settings, reading.request)
    try:
        site.check_request()
        yield site
    finally:
        site.close()


def _tell(store: LocalStore, stage: Stage, reading: Reading, site: Site, report: Reporter) -> ImportResult:
    try:
        reading.read(store, stage, site.rules.tags, lambda: False, keep=False)
    except BadInput as error:
        return _refused(reading, error, report)
    from scandock.pipeline.survey import survey

    made = survey(_tools(store, stage, reading, site), reading.listening, report, reading.request.ignore_unparsable)
    return ImportResult(made, _receipt(reading))


def _tools(store: LocalStore, stage: Stage, reading: Reading, site: Site) -> Tools:
    from scandock.pipeline.job import Tools
    from scandock.queue.leases import begin

    def check() -> None:
        if reading.cancelled.is_set():
            raise InterruptedError

    assert reading.ledger is not None
    lease = begin(site.catalog, number=stage.upload, token=stage.token, archive=reading.archive, request={})
    return Tools(
        catalog=site.catalog,
        store=store,
        stage=stage,
        ledger=reading.ledger,
        lease=lease,
        request=site.request,
        site=site.rules,
        resources=reading.request.resources,
        zone=reading.settings.zone,
        started=datetime.now(reading.settings.zone),
        check=check,
        known=site.known,
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
    if not reading.request.receipt or reading.ledger is None:
        return None
    from scandock.pipeline.tell import pack_receipt

    packed = io.BytesIO()
    pack_receipt(reading.ledger, reading.archive, {}, packed)
    kept = packed.getvalue()
    return lambda: io.BytesIO(kept)
