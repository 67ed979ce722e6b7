"""Storage commitment: what DICOM peers ask to be kept, what is decided of it, and how they are told (PS3.4 annex J).

The receiver process takes requests, and answers at once where all that is asked for is found. Else a worker decides,
once the studies that were on their way have been imported, and reports on an association of its own.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

from sqlalchemy import Connection, Row, delete, exists, func, insert, select, update

from scandock.access import accounts
from scandock.access.authentication import make_principal
from scandock.access.principal import Door
from scandock.catalog.engine import split_values
from scandock.catalog.receivers import find_peer_title, find_receiver_number
from scandock.catalog.server_tables import commitment, damage, received_study, reception, trashed
from scandock.catalog.tables import project, session, upload
from scandock.catalog.tree_places import FilePlace, read_places
from scandock.catalog.trees import find_objects, scans_of
from scandock.dimse.records import Answer, CommitmentAnswer, CommitmentResult, Status
from scandock.model.dataclass import dataclass
from scandock.model.durations import DAY_MS
from scandock.model.series import SeriesTally
from scandock.model.verdicts import UNFINISHED, WITH_RECEIPT, Verdict
from scandock.rules.labels import UNASSIGNED
from scandock.rules.shown_names import ShownNames, is_dropped
from scandock.rules.tally_values import count_values
from scandock.services.privacy_source import usable_privacy
from scandock.services.receiver_errors import PeerCallFailed

if TYPE_CHECKING:
    from structlog.typing import FilteringBoundLogger

    from scandock.catalog.engine import Catalog
    from scandock.catalog.file_rows import FileRow
    from scandock.dimse.records import CommitmentRequest
    from scandock.model.receivers import DicomPeer, Receiver
    from scandock.rules.privacy import SitePrivacy
    from scandock.store.port import Store

    Reference = tuple[str, str]
    Decision = dict[Reference, int]
    """Failure reason of each; 0 where it is kept."""

MAX_OPEN: Final = 1_000
"""Requests of one peer that are not told yet."""
KEPT_MS: Final = 30 * DAY_MS
RECEIPTS_READ: Final = 50
"""Imports of what a peer sent last, whose receipts are asked about objects that are not there."""
FAILURES_IN_A_ROW: Final = 2
"""Reports after which a peer is not called again for now."""
_LEFT_OUT: Final = frozenset(
    verdict.value
    for verdict in (Verdict.FILTERED, Verdict.UNPARSEABLE, Verdict.REFUSED, Verdict.CONFLICT, Verdict.IGNORED)
)


class ReportSender(Protocol):
    """Who sends reports: `dicom_peers.PeerCalls`."""

    def report(self, peer: DicomPeer, result: CommitmentResult, title: str) -> None:
        """Raises PeerCallFailed. `title`: ours, that was asked."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommitmentTimes:
    """Seconds."""

    wait: float = 600
    """For imports that had not ended when the request came."""
    look: float = 2
    """Until it is looked again whether they have."""
    same_association: float = 10
    """Until a result that was told on the request's own association is told on another one."""
    retries: tuple[float, ...] = (10, 60, 600, 3_600, 21_600)
    """After each report that failed; then it is given up."""
    claim: float = 120
    """In which a worker that died has reported, or another one does."""


class Commitments:
    """Requests for storage commitment in a catalog; may be used by several threads."""

    def __init__(self, catalog: Catalog, store: Store, times: CommitmentTimes = CommitmentTimes()) -> None:  # noqa: B008  frozen
        self._catalog = catalog
        self._store = store
        self._times = times

    # -- the receiver's part -----------------------------------------------------------------------------------------

    def take(self, receiver: Receiver, peer: str, address: str, request: CommitmentRequest) -> CommitmentAnswer:
        """Keep a request, and answer it. Raises Fault of the catalog."""
        with self._catalog.read() as connection:
            refusal = self._refuse(connection, receiver, peer, request.transaction)
            if refusal is not None:
                return CommitmentAnswer(refusal)
            newest = connection.execute(select(func.max(upload.c.id))).scalar() or 0
            decision = self._decide(connection, receiver, peer, request.references, newest, last=False)
        now = self._catalog.now()
        result = None if decision is None else _result_of(request.transaction, decision)
        with self._catalog.write() as connection:
            connection.execute(
                insert(commitment).values(
                    peer=peer,
                    transaction_uid=request.transaction,
                    receiver_id=receiver.number,
                    called=receiver.title,
                    address=address,
                    received=now,
                    newest_upload=newest,
                    state="waiting" if result is None else "decided",
                    due=now + (0 if result is None else int(self._times.same_association * 1000)),
                    wanted=_pack(request.references),
                    result=None if decision is None else _pack([(*pair, reason) for pair, reason in decision.items()]),
                )
            )
        return CommitmentAnswer(Answer(), result)

    def _refuse(self, connection: Connection, receiver: Receiver, peer: str, transaction: str) -> Answer | None:
        privacy = usable_privacy(connection)
        if privacy is not None:
            rules = privacy.site if receiver.project is None else privacy.of(receiver.project)
            if rules.policy.study_uid == "drop":
                return Answer(Status.PROCESSING_FAILURE, "UIDs are replaced here, nothing is found by them")
        if find_peer_title(connection, peer) is None:
            return Answer(Status.PROCESSING_FAILURE, f"No address is known here of {peer}")
        of_peer = (commitment.c.peer == peer, commitment.c.state.in_(("waiting", "decided")))
        running = select(exists().where(*of_peer, commitment.c.transaction_uid == transaction))
        if connection.execute(running).scalar():
            return Answer(Status.DUPLICATE_TRANSACTION, "This transaction is under way")
        count = connection.execute(select(func.count()).select_from(commitment).where(*of_peer)).scalar() or 0
        if count >= MAX_OPEN:
            return Answer(Status.OUT_OF_RESOURCES, f"{count} requests are under way")
        return None

    def note_report(self, peer: str, transaction: str, status: int | None) -> None:
        """What became of a report on the request's own association: told, or to be told on another one at once."""
        values: dict[str, object] = _ended("told") if status == 0 else {"due": self._catalog.now()}
        with self._catalog.write() as connection:
            connection.execute(
                update(commitment)
                .where(
                    commitment.c.peer == peer,
                    commitment.c.transaction_uid == transaction,
                    commitment.c.state == "decided",
                )
                .values(**values)
            )

    # -- the worker's part -------------------------------------------------------------------------------------------

    def take_due(self, busy: Collection[str] = (), most: int = 100) -> dict[str, list[int]]:
        """Decide what is due; the requests that are to be reported now, by peer: nobody else does it meanwhile.

        Of `most` peers, and not of those that are `busy`, as they are being told now. Raises Fault of the catalog.
        """
        now = self._catalog.now()
        with self._catalog.read() as connection:
            due = connection.execute(
                select(commitment, (commitment.c.received <= now - int(self._times.wait * 1000)).label("last"))
                .where(
                    commitment.c.state.in_(("waiting", "decided")),
                    commitment.c.due <= now,
                    commitment.c.peer.not_in(busy),
                )
                .order_by(commitment.c.due)
                .limit(100)
            ).all()
        by_peer: dict[str, list[int]] = {}
        for row in due:
            if row.peer not in by_peer and len(by_peer) >= most:
                continue
            if self._claim(row) and (row.state == "decided" or self._decide_late(row)):
                by_peer.setdefault(row.peer, []).append(row.id)
        return by_peer

    def report(self, requests: Sequence[int], calls: ReportSender, log: FilteringBoundLogger) -> None:
        """Tell one peer what was decided of its requests. Where it fails twice in a row, the others have failed too."""
        failures = 0
        failure: PeerCallFailed | None = None
        for request_id in requests:
            with self._catalog.read() as connection:
                row = connection.execute(select(commitment).where(commitment.c.id == request_id)).one()
            if failure is None or failures < FAILURES_IN_A_ROW:
                failure = self._tell(row, calls)
            if failure is None:
                failures = 0
            else:
                failures += 1
                self._note_failure(row, failure, log)

    def turn(self, calls: ReportSender, log: FilteringBoundLogger) -> int:
        """Decide and report what is due, one peer after the other; of how many requests."""
        by_peer = self.take_due()
        for requests in by_peer.values():
            self.report(requests, calls, log)
        return sum(map(len, by_peer.values()))

    def forget_old(self) -> int:
        """Take away requests that were told, or given up, so long ago."""
        with self._catalog.write() as connection:
            old = commitment.c.received < self._catalog.now() - KEPT_MS
            ended = commitment.c.state.in_(("told", "failed"))
            return connection.execute(delete(commitment).where(old, ended)).rowcount

    def _claim(self, row: Row[Any]) -> bool:
        """Whether nobody else sees to a request: others look at it later."""
        with self._catalog.write() as connection:
            return bool(
                connection.execute(
                    update(commitment)
                    .where(commitment.c.id == row.id, commitment.c.due == row.due, commitment.c.state == row.state)
                    .values(due=self._catalog.now() + int(self._times.claim * 1000))
                ).rowcount
            )

    def _decide_late(self, row: Row[Any]) -> bool:
        """Decide a request that waits; False where it goes on waiting."""
        references = [(one[0], one[1]) for one in _unpack(row.wanted)]
        with self._catalog.read() as connection:
            receiver = find_receiver_number(connection, row.receiver_id)
            decision = self._decide(connection, receiver, row.peer, references, row.newest_upload, last=row.last)
        values: dict[str, object]
        if decision is None:
            values = {"due": self._catalog.now() + int(self._times.look * 1000)}
        else:
            values = {"state": "decided", "result": _pack([(*pair, reason) for pair, reason in decision.items()])}
        with self._catalog.write() as connection:
            connection.execute(update(commitment).where(commitment.c.id == row.id).values(**values))
        return decision is not None

    def _tell(self, row: Row[Any], calls: ReportSender) -> PeerCallFailed | None:
        """Report a request's result; what the peer failed with."""
        decision = {(one[0], one[1]): one[2] for one in _unpack(row.result)}
        with self._catalog.read() as connection:
            peer = find_peer_title(connection, row.peer)
        values: dict[str, object]
        try:
            if peer is None:
                values = _ended("failed", "No address is known of the peer any more.")
            else:
                calls.report(peer, _result_of(row.transaction_uid, decision), row.called)
                values = _ended("told")
        except PeerCallFailed as failure:
            return failure
        with self._catalog.write() as connection:
            connection.execute(update(commitment).where(commitment.c.id == row.id).values(**values))
        return None

    def _note_failure(self, row: Row[Any], failure: PeerCallFailed, log: FilteringBoundLogger) -> None:
        tries = row.tries + 1
        values: dict[str, object] = {"tries": tries, "message": failure.message}
        if tries > len(self._times.retries):
            values |= _ended("failed", failure.message)
        else:
            values["due"] = self._catalog.now() + int(self._times.retries[tries - 1] * 1000)
        log.warning(
            "storage commitment not reported",
            peer=row.peer,
            tries=tries,
            given_up="state" in values,
            why=failure.message,
        )
        with self._catalog.write() as connection:
            connection.execute(update(commitment).where(commitment.c.id == row.id).values(**values))

    # -- deciding ------------------------------------------------------------------------------------------------------

    def _decide(
        self,
        connection: Connection,
        receiver: Receiver | None,
        peer: str,
        references: Sequence[Reference],
        newest: int,
        *,
        last: bool,
    ) -> Decision | None:
        """What becomes of each reference; None where imports are to be waited for, unless it is decided at `last`."""
        privacy = usable_privacy(connection)
        decision = find_stored(connection, references, privacy, _visible_projects(connection, receiver))
        missing = {pair for pair, reason in decision.items() if reason == Status.NO_SUCH_SOP_INSTANCE}
        if missing:
            if not last and _has_coming(connection, newest):
                return None
            if _may_have_dropped_uids(receiver, privacy):
                decision |= dict.fromkeys(missing, Status.PROCESSING_FAILURE)
            else:
                for pair in self._left_out(connection, privacy, peer, newest, missing):
                    decision[pair] = Status.PROCESSING_FAILURE
        return decision

    def _left_out(
        self,
        connection: Connection,
        privacy: SitePrivacy | None,
        peer: str,
        newest: int,
        references: Collection[Reference],
    ) -> Iterator[Reference]:
        """Those that imports of what the peer sent have left out: filtered, unparseable, refused.

        All of them where a receipt has no names of what was left out: nobody can tell then which it was.
        """
        keys = () if privacy is None else (privacy.site.key, *privacy.site.older_keys)
        hashing = [ShownNames(level="hash", key=key) for key in keys]
        names: dict[str, Reference] = {}
        for pair in references:
            name = f"{pair[1]}.dcm"
            names |= dict.fromkeys((name, *(shown.hashed(name) for shown in hashing)), pair)
        left = set(references)
        imports = connection.execute(
            select(upload.c.uuid)
            .join(received_study, received_study.c.upload_id == upload.c.id)
            .where(received_study.c.calling == peer, upload.c.id <= newest, upload.c.state.in_(WITH_RECEIPT))
            .order_by(upload.c.id.desc())
            .limit(RECEIPTS_READ)
        ).scalars()
        for uuid in imports:
            if not left:
                return
            with contextlib.suppress(FileNotFoundError), self._store.open_receipt(uuid) as packed:
                for line in gzip.GzipFile(fileobj=packed):
                    entry = json.loads(line)
                    if entry["verdict"] not in _LEFT_OUT:
                        continue
                    reference = names.get(entry["path"])
                    if reference in left:
                        left.remove(reference)
                        yield reference
                    elif is_dropped(entry["path"]):
                        yield from left
                        return


def find_stored(
    connection: Connection,
    references: Sequence[Reference],
    privacy: SitePrivacy | None,
    projects: Collection[int] | None = None,
) -> Decision:
    """Whether objects are stored, in a session or in the trash, by their class and instance.

    By the UID that they came with, also where de-identification gave them another one. `projects`: in these alone.
    """
    decision: Decision = dict.fromkeys(references, Status.NO_SUCH_SOP_INSTANCE)
    found = _find_scans(connection, decision, privacy)
    if projects is not None:
        trees = _trees_of(connection, {tree_id for scans in found.values() for tree_id, _ in scans}, projects)
        found = {
            pair: visible for pair, scans in found.items() if (visible := [one for one in scans if one[0] in trees])
        }
    classes = _ClassesOfScans(connection)
    for pair, scans in found.items():
        fits = any(classes.may_have(tree_id, scan_n, pair[0]) for tree_id, scan_n in scans)
        decision[pair] = 0 if fits else Status.CLASS_INSTANCE_CONFLICT
    return decision


Scan = tuple[int, int | None]
"""A tree, and a scan there."""


def _find_scans(
    connection: Connection, references: Collection[Reference], privacy: SitePrivacy | None
) -> dict[Reference, list[Scan]]:
    """Where objects are that are there, and whole as far as is known.

    By the UID that they are asked for; also by the one that they had before they were de-identified, unless their
    project lets nobody know which it was.
    """
    by_uid: dict[str, list[Reference]] = {}
    changed_by_uid: dict[str, list[Reference]] = {}
    changed_by_key: dict[int, list[Reference]] = {}
    for pair in references:
        by_uid.setdefault(pair[1], []).append(pair)
        if privacy is not None:
            for uid in privacy.site.new_uids(pair[1]):
                changed_by_uid.setdefault(uid, []).append(pair)
            for key in privacy.site.sop_keys(pair[1]):
                changed_by_key.setdefault(key, []).append(pair)
    found: dict[Reference, list[Scan]] = {}
    changed: dict[Reference, list[Scan]] = {}
    trees = _StoredTrees(connection)
    for tree_id, row in find_objects(connection, {**by_uid, **changed_by_uid}, changed_by_key):
        if not trees.has_whole(tree_id, row):
            continue
        one_scan = (tree_id, trees.scan_of(tree_id, row))
        uid = row.sop_uid or ""
        for pair in by_uid.get(uid, ()):
            found.setdefault(pair, []).append(one_scan)
        keyed = changed_by_key.get(row.sop_key, ()) if row.sop_key is not None else ()
        for pair in dict.fromkeys((*changed_by_uid.get(uid, ()), *keyed)):
            changed.setdefault(pair, []).append(one_scan)
    hidden = _hiding_trees(connection, changed, privacy) if privacy is not None else ()
    for pair, scans in changed.items():
        shown = [one for one in scans if one[0] not in hidden]
        if shown:
            found.setdefault(pair, []).extend(shown)
    return found


def _hiding_trees(
    connection: Connection, changed: Mapping[Reference, Sequence[Scan]], privacy: SitePrivacy
) -> Collection[int]:
    """Trees of projects that let nobody know which UIDs objects had."""
    dropping = [key for key, rules in privacy.projects.items() if rules.policy.study_uid == "drop"]
    if not (changed and dropping):
        return ()
    projects = connection.execute(select(project.c.id).where(project.c.key.in_(dropping))).scalars().all()
    return _trees_of(connection, {tree_id for scans in changed.values() for tree_id, _ in scans}, projects)


class _StoredTrees:
    """Trees of sessions, also those in the trash, and what is known to be damaged there."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._whole: dict[int, frozenset[int | None] | None] = {}
        self._places: dict[int, Mapping[int, FilePlace]] = {}

    def has_whole(self, tree_id: int, row: FileRow) -> bool:
        """Whether a tree is that of a session, and a file of it not damaged."""
        if tree_id not in self._whole:
            self._whole[tree_id] = self._read_damage(tree_id)
        damaged = self._whole[tree_id]
        return damaged is not None and None not in damaged and row.n not in damaged

    def _read_damage(self, tree_id: int) -> frozenset[int | None] | None:
        """Numbers of damaged files, None for the whole folder; None where no session has the tree."""
        if not any(
            self._connection.execute(select(table.c.tree_id).where(table.c.tree_id == tree_id).limit(1)).first()
            for table in (session, trashed)
        ):
            return None
        rows = self._connection.execute(select(damage.c.file_n).where(damage.c.tree_id == tree_id))
        return frozenset(rows.scalars())

    def scan_of(self, tree_id: int, row: FileRow) -> int | None:
        """The number of the scan that a file is of."""
        if tree_id not in self._places:
            self._places[tree_id] = read_places(self._connection, tree_id)
        place = self._places[tree_id].get(row.resource_n)
        return place.scan_n if place is not None else None


def _trees_of(connection: Connection, trees: Collection[int], projects: Collection[int]) -> set[int]:
    """Those trees that are of one of these projects."""
    visible: set[int] = set()
    for table in (session, trashed):
        for part in split_values(sorted(trees)):
            rows = connection.execute(
                select(table.c.tree_id).where(table.c.tree_id.in_(part), table.c.project_id.in_(projects))
            )
            visible.update(rows.scalars())
    return visible


def _visible_projects(connection: Connection, receiver: Receiver | None) -> Collection[int] | None:
    """Projects of which the peers of a receiver are told: those of the account that it acts for; None: all of them."""
    found = accounts.by_id(connection, receiver.account_id) if receiver is not None else None
    if found is None:
        return ()
    principal = make_principal(connection, found, Door.SYSTEM)
    if principal.admin:
        return None
    names = [*principal.roles, UNASSIGNED]
    return connection.execute(select(project.c.id).where(project.c.name.in_(names))).scalars().all()


class _ClassesOfScans:
    """SOP classes of the objects of scans, as their headers said when they were imported."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._trees: dict[int, dict[int, frozenset[str]]] = {}

    def may_have(self, tree_id: int, scan_n: int | None, sop_class: str) -> bool:
        """Whether a scan has an object of that class, as far as is known."""
        scans = self._trees.get(tree_id)
        if scans is None:
            scans = self._trees[tree_id] = {
                row.n: frozenset(count_values(row.facts, "SOPClassUID"))
                for row in scans_of(self._connection, tree_id)
                if isinstance(row.facts, SeriesTally)
            }
        known = scans.get(scan_n) if scan_n is not None else None
        return not known or sop_class in known


def _has_coming(connection: Connection, newest: int) -> bool:
    """Whether studies that peers had sent by then have not been imported yet."""
    coming = exists().where(
        reception.c.upload_id == upload.c.id,
        reception.c.door == "dimse",
        upload.c.id <= newest,
        upload.c.state.in_(UNFINISHED),
    )
    return bool(connection.execute(select(coming)).scalar())


def _may_have_dropped_uids(receiver: Receiver | None, privacy: SitePrivacy | None) -> bool:
    """Whether objects of a receiver that routes by rules may be in a project where they are found by no UID."""
    if privacy is None or (receiver is not None and receiver.project_uuid is not None):
        return False
    return any(rules.policy.study_uid == "drop" for rules in privacy.projects.values())


def _result_of(transaction: str, decision: Decision) -> CommitmentResult:
    return CommitmentResult(
        transaction,
        tuple(pair for pair, reason in decision.items() if not reason),
        tuple((*pair, reason) for pair, reason in decision.items() if reason),
    )


def _ended(state: str, message: str = "") -> dict[str, object]:
    """A request that is done with: the UIDs that it named, which nobody may be to know any more, go."""
    return {"state": state, "message": message, "wanted": b"", "result": None}


def _pack(values: Sequence[object]) -> bytes:
    return zlib.compress(json.dumps(values).encode(), 1)


def _unpack(packed: bytes) -> list[Any]:
    values: list[Any] = json.loads(zlib.decompress(packed))
    return values
