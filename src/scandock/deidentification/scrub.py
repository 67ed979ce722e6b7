"""De-identification as one function: bytes in, new bytes out, or a rejection, or a failure. Nothing else is touched.

Scripts run in order, then the profile; what was written is read again before it is given back. What can't be read to
its end, or can't be done, is a failure: the original is never given back in the place of what was asked for.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, ParamSpec, Protocol, TypeVar

from scandock.deidentification import ecat, ecat_scripts
from scandock.deidentification.encoding import encode
from scandock.deidentification.errors import ScrubError
from scandock.deidentification.identifiers import (
    originals_of_ecat,
    read_originals,
    replace_identifiers,
    replace_in_ecat,
    restore_study,
)
from scandock.deidentification.parsing import parse
from scandock.deidentification.profile.actions import apply_profile
from scandock.deidentification.profile.burned_in import burned_in_notice, find_burned_in
from scandock.deidentification.profile.day_shift import days_of_patient
from scandock.deidentification.profile.identity import read_hidden, read_identity
from scandock.deidentification.profile.method import ScriptName, record_method
from scandock.deidentification.profile.options import FULL_DATES, RETAIN_UIDS, Profile
from scandock.deidentification.profile.pixel_length import has_longer_pixels, longer_pixels_notice
from scandock.deidentification.profile.residue import RESIDUE, find_residue, residue_notice
from scandock.deidentification.profile.vocabulary import keep_words
from scandock.deidentification.script.evaluator import ScriptOutcome, run_scripts
from scandock.deidentification.script.lookup_table import LookupTable
from scandock.deidentification.script.run_state import ScriptContext
from scandock.deidentification.verification import verify
from scandock.formats.ecat import looks_like_ecat
from scandock.model.dataclass import dataclass
from scandock.model.tags import DICOMDIR_CLASS
from scandock.rules.notices import make_notice
from scandock.rules.privacy_policy import KEEP_ALL, Policy
from scandock.rules.stored_uids import NO_UIDS, StoredUids

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DicomObject
    from scandock.deidentification.encoding import Part
    from scandock.deidentification.identifiers import Originals
    from scandock.deidentification.pixel_areas import PixelDecoder
    from scandock.deidentification.script.syntax import Script
    from scandock.deidentification.trace import Trace
    from scandock.formats.dicom_object import Header
    from scandock.rules.notices import Notice

Buffer = bytes | memoryview
ReadRange = Callable[[int, int], Buffer]
P = ParamSpec("P")
T = TypeVar("T")

_DICOMDIR: Final = b"\x02\0\x02\0UI" + len(DICOMDIR_CLASS).to_bytes(2, "little") + DICOMDIR_CLASS.encode()
_META_BYTES: Final = 1024
_KEYED: Final = ("mapUID", "mapReferencedUIDs")
"""Functions of scripts that use the key."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is done with every object: `scripts` in their order, then what the policy says, then the profile."""

    scripts: tuple[Script, ...] = ()
    lookups: LookupTable = field(default_factory=LookupTable)
    profile: Profile | None = None
    residue: Literal["warn", "refuse"] = "warn"
    """What becomes of an object in which values of the original's patient are left after it."""
    policy: Policy = KEEP_ALL
    """Whether UIDs and the patient's names and ids are replaced, scripts and profile or not."""

    @property
    def needs_key(self) -> bool:
        """Whether what comes of an object may follow from the site's key: new UIDs, days by which dates move."""
        if self.policy.changes_objects:
            return True
        if self.profile is not None and not {RETAIN_UIDS, FULL_DATES} <= self.profile.options:
            return True
        return any(name in script.text for script in self.scripts for name in _KEYED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Whose objects they are: the site's key, and the variables that scripts are given (project, subject, session).

    `stored_uids` stay wherever UIDs are replaced: they are those of the session that the objects are added to.
    `decode_pixels` decodes compressed pixels in a process of its own; without it they can't be altered. `watch` is told
    of each statement of scripts as it is run, for people who try one.
    """

    key: bytes = field(repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    stored_uids: StoredUids = NO_UIDS
    decode_pixels: PixelDecoder | None = None
    watch: ScriptWatch | None = field(default=None, repr=False)


class ScriptWatch(Protocol):
    """Who is told how scripts run; the time that it takes is none of theirs."""

    def echo(self, text: str | None) -> None:
        """What `echo` says; None of an absent element."""

    def ran(self, obj: DicomObject, script: str, line: int) -> None:
        """A statement was run, and the object is as it has left it."""


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """The new object: its bytes in order, or ranges of the original that are passed on. Warnings quote no value."""

    parts: Sequence[Part]
    warnings: tuple[Notice, ...] = ()
    header: Header | None = field(default=None, repr=False)
    """Its header, where that is known without reading it."""
    trace: Trace | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """An object that is left out on purpose."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An object of which nothing may be written."""

    code: str
    message: str


ScrubResult = Scrubbed | Rejected | Failed


def scrub(
    head: Buffer,
    size: int | None = None,
    read: ReadRange | None = None,
    *,
    rules: Rules,
    context: Context,
    trace: Trace | None = None,
) -> ScrubResult:
    """De-identify a DICOM object or an ECAT 7 file.

    `head` is all of it; or its beginning, where `size` is that of all and `read(start, end)` gives ranges. What `read`
    raises passes through. `trace` is told how it went with a DICOM object.
    """
    size = len(head) if size is None else size
    try:
        if looks_like_ecat(head):
            return _scrub_ecat(head, size, read, rules, context)
        return _scrub_dicom(head, size, read, rules, context, trace)
    except ScrubError as error:
        return Failed(error.code, error.message)
    except RecursionError:
        return Failed("deid_unreadable", "It has sequences within sequences too deep to be read.")


def _scrub_dicom(
    head: Buffer, size: int, read: ReadRange | None, rules: Rules, context: Context, trace: Trace | None
) -> ScrubResult:
    if is_dicomdir(head):
        return Rejected("dicomdir", "A DICOMDIR lists patients and files as they were; it is not written.")
    obj = parse(head, size, read)
    if trace is not None:
        trace.begin(obj)
    profile = rules.profile
    originals = read_originals(obj, rules.policy)
    if profile is None:
        return _scrub_by_policy(obj, originals, rules, context, trace)
    identity = read_identity(obj.data)
    burned_in = find_burned_in(obj.data)
    outcome = _run_scripts(obj, rules, context)
    if outcome.rejected:
        return _REJECTED
    if trace is not None:
        trace.end_scripts(obj, identity, is_plain=not outcome.pixels_altered)
    if rules.policy.study_uid != "keep":
        restore_study(obj, rules.policy, originals)
        profile = replace(profile, options=profile.options - {RETAIN_UIDS})
    project = context.variables.get("project", "")
    apply_profile(obj, profile, identity, key=context.key, project=project, stored=context.stored_uids)
    record_method(obj.data, profile, _script_names(rules.scripts), has_clean_pixels=outcome.pixels_altered)
    parts = encode(obj)
    walked = verify(obj, parts)
    if trace is not None:
        trace.written = walked
    warnings = []
    paths = find_residue(obj, parts, identity)
    if paths:
        warnings.append(residue_notice(paths))
        if rules.residue == "refuse":
            return Failed(RESIDUE, warnings[0].message)
    if has_longer_pixels(obj):
        warnings.append(longer_pixels_notice())
    if burned_in is not None:  # also where areas were filled: nobody knows whether they were the right ones
        warnings.append(burned_in_notice(burned_in))
    return Scrubbed(parts, tuple(warnings))


def _scrub_by_policy(
    obj: DicomObject, originals: Originals, rules: Rules, context: Context, trace: Trace | None
) -> ScrubResult:
    """Scripts, and what the policy replaces: all that there is without a profile."""
    policy = rules.policy
    stored = context.stored_uids
    hidden = read_hidden(obj.data, patient=policy.patient != "keep", uids=policy.study_uid != "keep", stored=stored)
    outcome = _run_scripts(obj, rules, context)
    if outcome.rejected:
        return _REJECTED
    if trace is not None:
        trace.end_scripts(obj, None, is_plain=not outcome.pixels_altered)
    if policy.changes_objects:
        replace_identifiers(obj, policy, originals, context.key, stored)
    parts = encode(obj)
    walked = verify(obj, parts)
    if trace is not None:
        trace.written = walked
    paths = list(dict.fromkeys(path for identity in hidden for path in find_residue(obj, parts, identity)))
    if not paths:
        return Scrubbed(parts)
    warning = residue_notice(paths)
    return Failed(RESIDUE, warning.message) if rules.residue == "refuse" else Scrubbed(parts, (warning,))


def _run_scripts(obj: DicomObject, rules: Rules, context: Context) -> ScriptOutcome:
    return run_scripts(rules.scripts, obj, _script_context(rules, context)) if rules.scripts else _NO_SCRIPTS


_NO_SCRIPTS: Final = ScriptOutcome()


@lru_cache(maxsize=64)
def _script_names(scripts: tuple[Script, ...]) -> tuple[ScriptName, ...]:
    """Scripts by the fingerprints of their texts: how a file is called could name somebody."""
    digests = [hashlib.sha256(script.text.encode()).hexdigest() for script in scripts]
    return tuple(ScriptName(digest[:16], digest[:32]) for digest in digests)


_REJECTED: Final = Rejected("deid_rejected", "A script rejects it.")


def is_dicomdir(head: Buffer) -> bool:
    """Whether the meta information says so: a directory is no data set, and isn't read as one."""
    return _DICOMDIR in bytes(head[132 : 132 + _META_BYTES])


def _script_context(rules: Rules, context: Context) -> ScriptContext:
    clock = _ScriptClock()
    decode, watch = context.decode_pixels, context.watch
    return ScriptContext(
        key=context.key,
        variables=context.variables,
        lookups=rules.lookups,
        stored_uids=context.stored_uids,
        echo=None if watch is None else watch.echo,
        ran=None if watch is None else clock.pausing(watch.ran),
        decode_pixels=None if decode is None else clock.pausing(decode),
        clock=clock,
    )


class _ScriptClock:
    """Seconds of a script alone: a decoder has a bound of its own, and has to be started first."""

    __slots__ = ("_paused",)

    def __init__(self) -> None:
        self._paused = 0.0

    def __call__(self) -> float:
        return time.monotonic() - self._paused

    def pausing(self, call: Callable[P, T]) -> Callable[P, T]:
        """The same call; the clock stands still while it lasts."""

        def paused(*args: P.args, **kwargs: P.kwargs) -> T:
            began = time.monotonic()
            try:
                return call(*args, **kwargs)
            finally:
                self._paused += time.monotonic() - began

        return paused


def _scrub_ecat(head: Buffer, size: int, read: ReadRange | None, rules: Rules, context: Context) -> ScrubResult:
    fields = ecat.read_mapped(head)
    changes: dict[int, str] = {}
    if rules.scripts:
        obj = ecat_scripts.as_object(fields)
        scripts = [ecat_scripts.restrict(script) for script in rules.scripts]
        if run_scripts(scripts, obj, replace(_script_context(rules, context), has_pixels=False)).rejected:
            return _REJECTED
        changes = ecat_scripts.changes_of(obj, fields)

    def read_range(start: int, end: int) -> Buffer:
        return head[start:end] if read is None else read(start, end)

    hides_patient = rules.profile is None and rules.policy.patient != "keep"
    if hides_patient:
        changes = replace_in_ecat(fields, changes, rules.policy, originals_of_ecat(fields), context.key)
    profile = _ecat_profile(rules.profile, fields, context) if rules.profile is not None else None
    rewritten = ecat.rewrite(head, size, read_range, changes, profile, keep_file_name=not hides_patient)
    warnings = [make_notice("ecat_script")] if rules.scripts else []
    cut = ecat.find_cut(changes, profile)
    if cut:
        warnings.append(make_notice("ecat_cut", fields=", ".join(cut)))
    if rewritten.had_text:
        warnings.append(make_notice("ecat_text"))
    return Scrubbed(rewritten.parts, tuple(warnings))


def _ecat_profile(profile: Profile, fields: Mapping[int, str], context: Context) -> ecat.EcatProfile:
    """What of a profile holds for ECAT; times move as the dates of the patient's DICOM objects do."""
    patient = fields[ecat.PATIENT_ID] or fields[ecat.PATIENT_NAME]
    variables = context.variables
    keeps_times = FULL_DATES in profile.options
    return ecat.EcatProfile(
        patient_id=variables.get("session", ""),
        patient_name=variables.get("subject", ""),
        shift_days=0 if keeps_times else days_of_patient(context.key, variables.get("project", ""), patient),
        keep_device="retain-device" in profile.options,
        keep_patient="retain-patient" in profile.options,
        clean_description=keep_words if "clean-descriptors" in profile.options else _drop,
    )


def _drop(_text: str) -> str:
    return ""
