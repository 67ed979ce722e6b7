"""De-identification as one function: bytes in, new bytes out, or a rejection, or a failure. Nothing else is touched.

Scripts run in order, then the profile; what was written is read again before it is given back. Whatever can't be read to
its end, or can't be done, is a failure: the original is never given back in the place of what was asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from scandock.deidentification import ecat, ecat_scripts
from scandock.deidentification.encoding import encode
from scandock.deidentification.errors import ScrubError
from scandock.deidentification.parsing import parse
from scandock.deidentification.script.evaluator import run_scripts
from scandock.deidentification.script.lookup_table import LookupTable
from scandock.deidentification.script.run_state import ScriptContext
from scandock.deidentification.verification import verify
from scandock.formats.ecat import looks_like_ecat
from scandock.model.tags import DICOMDIR_CLASS
from scandock.rules.notices import make_notice

if TYPE_CHECKING:
    from scandock.deidentification.data_set import DicomObject
    from scandock.deidentification.encoding import Part
    from scandock.deidentification.pixel_areas import PixelDecoder
    from scandock.deidentification.script.syntax import Script
    from scandock.rules.notices import Notice

Buffer = bytes | memoryview
ReadRange = Callable[[int, int], Buffer]

_CLASS: Final = 0x00080016
_MEDIA_CLASS: Final = 0x00020002


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What is done with every object: `scripts` in their order, then the profile."""

    scripts: tuple[Script, ...] = ()
    lookups: LookupTable = field(default_factory=LookupTable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """Whose objects they are: the site's key, and the variables that scripts are given (project, subject, session).

    `decode_pixels` decodes compressed pixels in a process of its own; without it they can't be altered.
    """

    key: bytes = field(repr=False)
    variables: Mapping[str, str] = field(default_factory=dict, repr=False)
    decode_pixels: PixelDecoder | None = None


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """The new object: its bytes in order, or ranges of the original that are passed on. Warnings quote no value."""

    parts: Sequence[Part]
    warnings: tuple[Notice, ...] = ()


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
    head: Buffer, size: int | None = None, read: ReadRange | None = None, *, rules: Rules, context: Context
) -> ScrubResult:
    """De-identify a DICOM object or an ECAT 7 file.

    `head` is all of it; or its beginning, where `size` is that of all and `read(start, end)` gives ranges. What `read`
    raises passes through.
    """
    size = len(head) if size is None else size
    try:
        if looks_like_ecat(head):
            return _scrub_ecat(head, size, read, rules, context)
        return _scrub_dicom(head, size, read, rules, context)
    except ScrubError as error:
        return Failed(error.code, error.message)
    except RecursionError:
        return Failed("deid_unreadable", "It has sequences within sequences too deep to be read.")


def _scrub_dicom(head: Buffer, size: int, read: ReadRange | None, rules: Rules, context: Context) -> ScrubResult:
    obj = parse(head, size, read)
    if _is_dicomdir(obj):
        return Rejected("dicomdir", "A DICOMDIR lists patients and files as they were; it is not written.")
    outcome = run_scripts(rules.scripts, obj, _script_context(rules, context))
    if outcome.rejected:
        return _REJECTED
    parts = encode(obj)
    verify(obj, parts)
    return Scrubbed(parts)


_REJECTED: Final = Rejected("deid_rejected", "A script rejects it.")


def _is_dicomdir(obj: DicomObject) -> bool:
    data_sets = [(obj.data, _CLASS)] + ([(obj.meta, _MEDIA_CLASS)] if obj.meta is not None else [])
    return any(tag in data and (data.text(tag) or "").strip("\0 ") == DICOMDIR_CLASS for data, tag in data_sets)


def _script_context(rules: Rules, context: Context) -> ScriptContext:
    return ScriptContext(
        key=context.key, variables=context.variables, lookups=rules.lookups, decode_pixels=context.decode_pixels
    )


def _scrub_ecat(head: Buffer, size: int, read: ReadRange | None, rules: Rules, context: Context) -> ScrubResult:
    changes: dict[int, str] = {}
    if rules.scripts:
        fields = ecat.read_mapped(head)
        obj = ecat_scripts.as_object(fields)
        scripts = [ecat_scripts.restrict(script) for script in rules.scripts]
        if run_scripts(scripts, obj, _script_context(rules, context)).rejected:
            return _REJECTED
        changes = ecat_scripts.changes_of(obj, fields)

    def read_range(start: int, end: int) -> Buffer:
        return head[start:end] if read is None else read(start, end)

    return Scrubbed(
        ecat.rewrite(head, size, read_range, changes, None), (make_notice("ecat_script"),) if rules.scripts else ()
    )
