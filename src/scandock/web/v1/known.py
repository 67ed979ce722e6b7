"""/api/v1/sessions/known: whether sessions are there already, for all that an upload would make."""

from __future__ import annotations

import struct
from typing import Annotated, Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection
from starlette.responses import Response

from scandock.rules.petmr import Side
from scandock.services.existing_sessions import (
    MAX_CRCS,
    MAX_PLANNED,
    MAX_SUBJECTS,
    PlannedSession,
    find_existing_sessions,
)
from scandock.services.privacy_source import usable_privacy
from scandock.services.records import Known
from scandock.web.json_lists import ListOf
from scandock.web.request_context import SignedContext, list_response
from scandock.web.security import SignedIn

router = APIRouter(prefix="/api/v1/sessions", tags=["sessions"])


class AskedSession(BaseModel):
    """A session that an upload would make."""

    model_config = ConfigDict(extra="forbid")

    project: Annotated[str, Field(min_length=1, max_length=64)]
    label: Annotated[str, Field(min_length=1, max_length=64)]
    study_uid: Annotated[str, Field(max_length=512)] = ""
    subject: Annotated[str, Field(max_length=64)] = ""
    patient_id: Annotated[str, Field(max_length=1024)] = ""
    ecat: Annotated[list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]], Field(max_length=MAX_PLANNED)] = []
    former_subjects: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=MAX_SUBJECTS)] = []
    derived_subjects: Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=MAX_SUBJECTS)] = []
    patient_name: Annotated[str, Field(max_length=1024)] = ""
    images: Annotated[int, Field(ge=0, le=2**53)] = 0
    images_sum: Annotated[int, Field(ge=0, le=2**53)] = 0
    side: Side = ""
    image_crcs: Annotated[str, Field(pattern="^([0-9a-f]{8})*$", max_length=8 * MAX_CRCS)] = ""

    @property
    def planned(self) -> PlannedSession:
        lists: dict[str, Any] = {
            "ecat": tuple(map(bytes.fromhex, self.ecat)),
            "former_subjects": tuple(self.former_subjects),
        }
        crcs = frozenset(crc for (crc,) in struct.iter_unpack(">I", bytes.fromhex(self.image_crcs)))
        lists |= {"derived_subjects": tuple(self.derived_subjects), "image_crcs": crcs}
        return PlannedSession(**{**self.model_dump(), **lists})


class AskedSessions(BaseModel):
    """Several of them."""

    model_config = ConfigDict(extra="forbid")

    sessions: Annotated[list[AskedSession], Field(max_length=MAX_PLANNED)]


@router.post("/known", summary="Which sessions are there already", response_model=ListOf[Known])
async def known(context: SignedContext, principal: SignedIn, body: AskedSessions) -> Response:
    """For each, in the same order: the session that has its label, and the one that has its study; null for none.

    An archived session's assessor has its label where that says `assessor`: then no session can have it.
    Where `patient_id` is given, the other `subjects` that the patient has too; where `ecat` is (the SHA-256 of its ECAT
    files), the labels of the other sessions that hold any of them. Where `former_subjects` are (the labels that earlier
    versions gave the subject) and one of them is this patient's, by `patient_id` or `patient_name`: `kept`, the label
    that an import leaves it at. Where `derived_subjects` are (the label that its images give the subject, and that with
    the suffix that tells its patient apart): those that are this patient's by `patient_id` (`own`), and those that are
    another's (`taken`). Where `images` is (how many DICOM files its study has) with `images_sum` (the CRC-32 of
    each SOP Instance UID, added up): `same_images`, whether the session of the study has exactly these;
    with `image_crcs` (these CRC-32 in a row, 8 hex digits each) also `shared_images`, how many it has of them.
    Where `side` is (`MR` or `PET`, of a study that its project separates), `study` is the session of that side, or the
    one that has the study as a whole.
    Of `Unassigned` one's own sessions alone are told, as an upload joins no others there.
    Where the project de-identifies (`deidentified`), UIDs and patient IDs are compared by their keyed hashes, and none
    is kept; with `server_labels` it gives sessions other labels than their images would, unless they are named.
    `filtered` says that import filters decide which images are stored.
    """
    planned = [each_session.planned for each_session in body.sessions]

    def find(connection: Connection) -> list[Known]:
        privacy = usable_privacy(connection)
        return find_existing_sessions(connection, principal, planned, *([] if privacy is None else [privacy.of]))

    return list_response(await context.read(find))
