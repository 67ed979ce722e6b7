"""One attempt of one import that came by the server: the same course as on the command line, from the spool.

Forked for a worker (`scandock.workers.fork_server`), or started by it as
`python -m scandock.workers.attempt PARENT ORDER FD`, ORDER a JSON document (`AttemptRequest`). It exits with 0 once
it has written what became of the import, or found that it is not its own any more; anything else is a death, which the
worker tells of, with the fault that it was told of on the pipe FD (`fault_pipe.py`).
"""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import sys
import threading
from dataclasses import asdict, replace
from functools import cache
from typing import TYPE_CHECKING

from scandock.model.crash_points import reach
from scandock.model.dataclass import dataclass
from scandock.model.errors import BadInput, Fault, ScandockError, TokenLost, Usage
from scandock.model.machine_errors import InternalFault
from scandock.model.process import confine
from scandock.model.verdicts import ImportState
from scandock.rules.shown_names import is_hidden
from scandock.workers.archive_reader import ArchiveReader, ReadEntries
from scandock.workers.errors import AccountDisabled, BytesMissing, PromisedUnplaced
from scandock.workers.fault_pipe import NO_PIPE, send_fault
from scandock.workers.import_progress import ImportProgress, make_note
from scandock.workers.import_run import ImportRun
from scandock.workers.machine_faults import to_machine_fault
from scandock.workers.readers import use_reader_server

if TYPE_CHECKING:
    from sqlalchemy import Connection
    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.model.import_report import ImportReport
    from scandock.queue.leases import ImportLease
    from scandock.rules.import_request import ImportRequest
    from scandock.rules.privacy_policy import Level
    from scandock.services.progress import ProgressRecorder
    from scandock.services.settings import Settings
    from scandock.store.port import Stage, Store
    from scandock.workers.following import FollowedReading

OOM_SCORE = 300
LACKED_MEMORY = ("out_of_memory", "reader_failed", "attempt_killed")
BYTES_MISSING = BytesMissing()


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRequest:
    """What the worker says of the import that it has claimed."""

    data: str
    upload: str
    token: str
    previous: str
    """The token of the attempt before, whose stage may stand; empty where there was none."""
    attempt: int
    exhausted: bool
    """As many attempts as there are were lost: roll its intents forward, or let it fail."""
    reason: str
    """Code of what ended the attempt before; empty where nothing did."""
    follows: bool = False
    """Its bytes are still coming (`workers.following`)."""

    def to_json(self) -> str:
        """The document that the worker hands to the attempt's process."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> AttemptRequest:
        return cls(**json.loads(text))


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedUpload:
    """The row of what is to be imported."""

    lease: ImportLease
    account_id: int
    request: ImportRequest
    mapping: str
    name: str
    received: int
    session_uuid: str | None
    """The session that is its archive; None where bytes have come."""
    is_promised: bool = False
    """Whether its sender was told that it is stored: then it is kept, whatever rights have gone."""
    has_uid_names: bool = False
    """Whether the server itself has called its entries by the UIDs of their objects."""

    def is_shown(self, level: Level) -> bool:
        """Whether its name says no more than `level` lets be known."""
        return is_hidden(self.name, level) or self.name == f"session {self.session_uuid}"


def run_attempt(order: AttemptRequest, settings: Settings) -> None:
    """Bring the import to its end, or back among those that wait; TokenLost where it is not ours."""
    from scandock.catalog.privacy_texts import is_privacy_in_force
    from scandock.services.data_catalog import open_data_catalog
    from scandock.services.store_opening import open_data_store

    store = open_data_store(order.data, settings)
    catalog = open_data_catalog(store.path, settings)
    try:
        with catalog.read() as connection:
            if is_privacy_in_force(connection):
                store.erase_originals()  # also those that an attempt before has left
        if order.follows:
            _follow(order, settings, catalog, store)
            return
        upload = _take_up(order, catalog, store)
        with store.hold(order.upload, force=True):
            stage = store.take(order.upload, order.previous or order.token, order.token)
            reach("began")
            try:
                _import(order, settings, catalog, store, stage, upload, None)
            finally:
                stage.close()
    finally:
        catalog.dispose()
        store.close()


def _follow(order: AttemptRequest, settings: Settings, catalog: Catalog, store: Store) -> None:
    """Read an upload that comes, and import it once it is accepted."""
    from scandock.workers.following import follow_upload

    def import_it(stage: Stage, reading: FollowedReading | None) -> None:
        upload = _take_up(order, catalog, store)
        reach("began")
        _import(order, settings, catalog, store, stage, upload, reading)

    follow_upload(catalog, store, order.upload, order.token, settings, import_it)


def _take_up(order: AttemptRequest, catalog: Catalog, store: Store) -> ReceivedUpload:
    from scandock.publishing.areas import make_areas
    from scandock.queue.leases import renew

    with catalog.read() as connection:
        upload = _read_upload(connection, order)
    renew(catalog, upload.lease)
    make_areas(catalog, store)
    return upload


def _import(
    order: AttemptRequest,
    settings: Settings,
    catalog: Catalog,
    store: Store,
    stage: Stage,
    upload: ReceivedUpload,
    reading: FollowedReading | None,
) -> None:
    """Import it, unless an attempt before has left something that is to be dealt with alone."""
    from scandock.services.progress import ProgressRecorder

    readable = _unsealed(catalog, store, stage, upload)
    if readable is None or (reading is None and _finish_earlier(catalog, store, stage, readable, order)):
        return
    kept, why = _find_place(catalog, readable)
    told = 0 if reading is None else reading.patients_told
    with ProgressRecorder(catalog, upload.lease, attempt=order.attempt, patients_told=told) as recorder:
        run = UploadRun(catalog, store, stage, kept, order, settings, recorder, reading)
        if why:
            run.listening.notes.append(make_note("right_lost", why))
        run.run()


def _read_upload(connection: Connection, order: AttemptRequest) -> ReceivedUpload:
    from sqlalchemy import select

    from scandock.catalog.server_tables import reception, session_import
    from scandock.catalog.tables import upload
    from scandock.queue.leases import ImportLease
    from scandock.rules.import_request import ImportRequest

    row = connection.execute(
        select(
            upload.c.id,
            upload.c.archive,
            upload.c.request,
            reception.c.account_id,
            reception.c.mapping,
            reception.c.received,
            reception.c.door,
            session_import.c.session_uuid,
        )
        .join(reception, reception.c.upload_id == upload.c.id)
        .outerjoin(session_import, session_import.c.upload_id == upload.c.id)
        .where(upload.c.uuid == order.upload, upload.c.token == order.token)
    ).first()
    if row is None:
        raise TokenLost("Another process has taken over this import.")
    return ReceivedUpload(
        lease=ImportLease(row.id, order.upload, order.token),
        account_id=row.account_id,
        request=ImportRequest.from_json(row.request),
        mapping=row.mapping,
        name=row.archive,
        received=row.received,
        session_uuid=row.session_uuid,
        is_promised=row.door in ("dimse", "gradual"),
        has_uid_names=row.door in ("dimse", "gradual", "dicomweb"),
    )


def _unsealed(catalog: Catalog, store: Store, stage: Stage, upload: ReceivedUpload) -> ReceivedUpload | None:
    """The upload with its mapping as it was sent; None, with the import failed, where that can't be read any more."""
    from scandock.catalog.sealed_texts import SEALED
    from scandock.publishing.complete import has_intents
    from scandock.publishing.requeue import fail_import
    from scandock.services.data_errors import PrivacyKeyUnfit
    from scandock.services.door_names import ReceptionPrivacy
    from scandock.services.privacy_source import current_privacy
    from scandock.services.sealing import SealUnreadable

    if not upload.mapping.startswith(SEALED):
        return upload
    try:
        with catalog.read() as connection:
            privacy = ReceptionPrivacy.at_door(current_privacy(connection), ())
        return replace(upload, mapping=privacy.unsealed(upload.mapping))
    except (SealUnreadable, PrivacyKeyUnfit) as error:
        if has_intents(catalog, upload.lease):  # it only rolls forward
            return upload
        if isinstance(error, PrivacyKeyUnfit):  # which this host may get yet, and another one may have
            raise
        fail_import(catalog, store, stage, upload.lease, error)
        return None


def _finish_earlier(
    catalog: Catalog, store: Store, stage: Stage, upload: ReceivedUpload, order: AttemptRequest
) -> bool:
    """Deal with what an attempt before has left: intents roll forward, all else goes. True where that was all."""
    from scandock.publishing.complete import has_intents
    from scandock.publishing.requeue import exhausted, fail_import, requeue_or_fail
    from scandock.publishing.reserve import release_names
    from scandock.publishing.roll_forward import roll_forward
    from scandock.publishing.row_cleanup import delete_exceptions, delete_staged_rows

    lease = upload.lease
    if has_intents(catalog, lease):
        try:
            roll_forward(catalog, store, stage, lease)
        except Fault as fault:
            if fault.is_outage:
                raise
            requeue_or_fail(catalog, store, stage, lease, fault, attempt=order.attempt)
        return True
    if order.exhausted:
        fail_import(catalog, store, stage, lease, exhausted(order.reason))
        return True
    if upload.received and store.spool(order.upload).size() != upload.received:
        fail_import(catalog, store, stage, lease, BYTES_MISSING)
        return True
    stage.clear()
    if order.previous:
        delete_staged_rows(catalog, lease)
        delete_exceptions(catalog, lease)
        with catalog.write() as connection:
            release_names(connection, lease)
    return False


def _find_place(catalog: Catalog, upload: ReceivedUpload) -> tuple[ReceivedUpload, str]:
    """Where what was promised goes if its account may not upload there any more, and why; as it is for all others.

    It waits for somebody to look at it: in the prearchive of its project, by the rules of that, or in `Unassigned`
    where the project is gone.
    """
    from scandock.catalog.projects import is_usable
    from scandock.rules.labels import UNASSIGNED
    from scandock.services.upload_rights import find_account_name, may_upload

    project = upload.request.project
    if not upload.is_promised or project is None:
        return upload, ""
    with catalog.read() as connection:
        stands, account = is_usable(connection, project), find_account_name(connection, upload.account_id)
    if not stands:
        request = upload.request.with_fields(project=UNASSIGNED)
        return replace(upload, request=request), f"Project {project}, to which it was sent, is gone."
    if not may_upload(catalog, upload.account_id, project):
        request = upload.request.with_fields(destination="prearchive")
        return replace(
            upload, request=request
        ), f"The account {account}, for which it was received, may not upload to {project} any more."
    return upload, ""


class UploadRun(ImportRun):
    """The run of an import that came by the server, at one attempt: from the spool, for the account that sent it."""

    def __init__(
        self,
        catalog: Catalog,
        store: Store,
        stage: Stage,
        upload: ReceivedUpload,
        order: AttemptRequest,
        settings: Settings,
        recorder: ProgressRecorder,
        reading: FollowedReading | None = None,
    ) -> None:
        """`reading`: its entries, where it was read while it came."""
        from scandock.rules.mapping import parse_mapping
        from scandock.workers.context import make_upload_context

        listening = ImportProgress(recorder)
        mapping = parse_mapping(upload.mapping, "mapping") if upload.mapping else ()
        context = make_upload_context(
            catalog,
            settings,
            upload.request,
            mapping,
            upload.account_id,
            has_uid_names=upload.has_uid_names,
        )
        is_shown = upload.is_shown(context.names.level)
        super().__init__(
            archive=upload.name if is_shown else context.names.archive(upload.name or order.upload),
            store=store,
            stage=stage,
            context=context,
            lease=upload.lease,
            listening=listening,
            cancelled=threading.Event(),
            lost=threading.Event(),
        )
        self.upload, self.order = upload, order
        self._followed = reading
        self._recorder = recorder

    def run(self) -> None:
        from scandock.publishing.requeue import drop_bytes

        try:
            self._run()
        except TokenLost:
            raise
        except Exception as error:  # the last fence: what it was is logged, and the import has an end
            fault = to_machine_fault(error)
            if fault is not None:
                self._make_room()
                raise fault from error
            _log_unexpected(self.order.upload, error)
            self._end_unexpected()
        drop_bytes(self.context.catalog, self.store, self.lease)
        if self.context.names.hides_anything:
            self.store.sweep()  # what came stands nowhere from here on

    def _run(self) -> None:
        reach("recorded")
        self._hide_archive()
        with contextlib.ExitStack() as opened:
            entries: ReadEntries | Exception
            try:
                self._check_account()
                self.context.check_request()
                entries = self._read(opened)
                reach("read")
            except Exception as error:  # noqa: BLE001  told by `finish`
                entries = error
            try:
                self.finish(entries)
            except Usage as error:
                if self.upload.is_promised:  # it is tried again, and its bytes stay: nobody can be asked for them
                    self.fault(PromisedUnplaced(error.message))
                else:
                    self._refuse_request(entries, error)

    def _hide_archive(self) -> None:
        """Have the row say of the archive's name what may be known now: the policy may be stricter than it was."""
        from sqlalchemy import update

        from scandock.catalog.tables import upload
        from scandock.queue.leases import check_lease

        catalog = self.context.catalog
        if self.context.names.keeps_archive or self.upload.is_shown(self.context.names.level):
            return
        with catalog.overwrite() as connection:
            check_lease(catalog, connection, self.lease)
            connection.execute(update(upload).where(upload.c.id == self.lease.upload_id).values(archive=self.archive))

    def _read(self, opened: contextlib.ExitStack) -> ReadEntries:
        """Read the upload; readers and ledger are closed with `opened`."""
        if self._followed is not None:
            opened.callback(self._followed.close)
            upload = self.upload
            if self._followed.is_of(upload.request, upload.received, self.archive, self.context.texts):
                self.listening.adopt(self._followed.listening)
                return self._followed.entries
            self._followed.close()
            self.stage.clear()
            self._recorder.take_back()
        reading = ArchiveReader(
            self._find_archive(),
            self.upload.request,
            self.context.settings,
            self.listening,
            self.cancelled,
            name=self.archive,
            readers=self.count_readers(),
        )
        opened.callback(reading.close)
        texts = self.context.texts
        if self.upload.session_uuid is not None:  # what these very rules have made stays: who reads can't tell
            texts = replace(texts, early=None)
        entries = reading.read(self.store, self.stage, texts, lambda: False, keep=True)
        opened.callback(entries.close)
        return entries

    def _find_archive(self) -> str:
        """Where it lies: in the spool, or the folder of the session that moves, which nobody changes from here on."""
        if self.upload.session_uuid is not None:
            from scandock.pipeline.moved_session import hold_moved_session

            self.moved = hold_moved_session(
                self.context.catalog, self.store, self.lease, self.upload.session_uuid, self.check
            )
            return self.find_folder(self.moved)
        from scandock.pipeline.staging import scratch_path
        from scandock.store.paths import SPOOL_PARTS

        with contextlib.closing(self.store.spool(self.order.upload)) as spool:
            return spool.reference(scratch_path(self.stage, SPOOL_PARTS))

    def count_readers(self) -> int:
        """Fewer from attempt to attempt where memory was short."""
        readers = super().count_readers()
        return max(1, readers >> (self.order.attempt - 1)) if self.order.reason in LACKED_MEMORY else readers

    def _make_room(self) -> None:
        """Give up what was staged before the fault is told: on a full disk nothing could be written down else."""
        from scandock.publishing.complete import SWEEP_SECONDS, has_intents

        with contextlib.suppress(ScandockError, OSError):
            if not has_intents(self.context.catalog, self.lease):
                self.stage.clear()
                self.store.sweep(SWEEP_SECONDS)

    def _end_unexpected(self) -> None:
        """A mistake of ours: the import has failed, or is rolled forward once more where it has intents."""
        from scandock.publishing.complete import has_intents
        from scandock.publishing.requeue import requeue_or_fail

        why = InternalFault("An unexpected error; the log tells where.")
        if has_intents(self.context.catalog, self.lease):
            requeue_or_fail(self.context.catalog, self.store, self.stage, self.lease, why, attempt=self.order.attempt)
        else:
            self.end(ImportState.FAILED, why.code, why.message)

    def _check_account(self) -> None:
        """What names no project asks for no right in one, and would stand in `Unassigned`, whoever sent it."""
        from scandock.services.upload_rights import is_disabled

        if not self.upload.is_promised and is_disabled(self.context.catalog, self.upload.account_id):
            raise AccountDisabled

    def _refuse_request(self, entries: ReadEntries | Exception, error: Usage) -> None:
        """A project or a mapping that can't be used any more, a session that can't move: refused, with the receipt of
        what was read, if anything was.
        """
        refused = BadInput(error.code, error.message, error.remedy)
        if not isinstance(entries, Exception):
            self.finish(replace(entries, refused=refused))
            return
        self.stage.clear()
        self._find_waiting_session()
        with contextlib.closing(self._no_entries()) as nothing:
            self.finish(replace(nothing, refused=refused))

    def _find_waiting_session(self) -> None:
        """Look for the session that was to move, if one was, so that it says why it does not."""
        if self.upload.session_uuid is None or self.moved is not None:
            return
        from scandock.catalog.sessions import find_session

        with self.context.catalog.read() as connection:
            record = find_session(connection, self.upload.session_uuid)
        if record is not None and record.place == "prearchive":
            self.moved = record

    def _no_entries(self) -> ReadEntries:
        from scandock.pipeline.ledger import Ledger
        from scandock.pipeline.staging import scratch_path
        from scandock.store.paths import LEDGER

        return ReadEntries(Ledger(scratch_path(self.stage, LEDGER)), [])

    def fault(self, fault: Fault) -> ImportReport:
        """The bytes are kept: a fault of the machine is tried again. An outage the worker has it wait for."""
        if fault.is_outage:
            raise fault
        from scandock.publishing.requeue import requeue_or_fail

        requeue_or_fail(self.context.catalog, self.store, self.stage, self.lease, fault, attempt=self.order.attempt)
        return self.report(ImportState.FAILED, fault.code, fault.public_text)

    def allowed(self, project: str) -> bool:
        """The right may have gone since the bytes came, and headers may name a project that nobody asked about."""
        from scandock.rules.labels import label_key
        from scandock.services.upload_rights import may_upload

        named = self.upload.request.project
        if self.upload.is_promised and named is not None and label_key(named) == label_key(project):
            return True  # `_find_place`
        return may_upload(self.context.catalog, self.upload.account_id, project)

    def may_archive(self, project: str) -> bool:
        """As the roles are now; what the login or token served for was looked at when the bytes came."""
        from scandock.services.upload_rights import may_archive

        return may_archive(self.context.catalog, self.upload.account_id, project)


def _log_unexpected(upload: str, error: Exception) -> None:
    from scandock.services.logs import error_location, log

    log().error("unexpected", upload=upload, error=type(error).__name__, where=error_location(error))


@cache
def make_log(level: str) -> FilteringBoundLogger:
    """The log of attempts; made once for all forks of a process."""
    from scandock.services.logs import configure_logging

    return configure_logging("attempt", level)


def main(words: list[str], telling: int = NO_PIPE, readers: int | None = None) -> int:
    """Exit code 0 where what became of the import is written; else what stopped it is told on the pipe `telling`.

    `readers`: the wire of a server that forks readers, where there is one.
    """
    parent, order_text = words
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # its worker says when it is to stop, by SIGKILL
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    confine(int(parent), "attempt", oom=OOM_SCORE)
    if readers is not None:
        use_reader_server(socket.socket(fileno=readers))
    from scandock.services.logs import bind_upload, error_cause
    from scandock.services.settings import load_settings

    order, settings = AttemptRequest.from_json(order_text), load_settings()
    log = make_log(settings.log_level)
    bind_upload(order.upload, attempt=order.attempt)
    try:
        run_attempt(order, settings)
    except TokenLost:
        return 0
    except Exception as error:
        why = to_machine_fault(error) or error
        if not isinstance(why, ScandockError):
            raise
        if isinstance(why, Fault):
            send_fault(telling, why)
        log.error("attempt failed", code=why.code, cause=error_cause(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:-1], int(sys.argv[-1])))
