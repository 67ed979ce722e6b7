"""The standard's dictionary is pydicom's, without pydicom being loaded for it."""

from __future__ import annotations

import random
import subprocess
import sys

from pydicom import datadict
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._uid_dict import UID_dictionary

from scandock.deidentification.dictionary import (
    UNKNOWN,
    dictionary_keyword,
    dictionary_vm,
    dictionary_vr,
    transfer_syntaxes,
)

_LOAD = """
import sys
from scandock.deidentification.dictionary import dictionary_keyword, transfer_syntaxes
from scandock.deidentification import scrub
assert dictionary_keyword(0x00100010) == "PatientName" and len(transfer_syntaxes()) > 40
print([name for name in sys.modules if name.split(".")[0] in {"pydicom", "numpy", "gdcm"}])
"""


def tags():
    yield from DicomDictionary
    for text in RepeatersDictionary:
        for digit in "02E":
            yield int(text.replace("x", digit), 16)
    random.seed(1)
    for _ in range(5_000):
        yield random.randrange(1 << 32) & ~0x10000
    yield from (0x00091001, 0x00090010, 0x60010010, 0xFFFEE000, 0x00080000, 0x77770000)


def test_elements_are_those_of_pydicom():
    for tag in tags():
        try:
            vr, vm, _, _, keyword = datadict.get_entry(tag)
        except KeyError:
            vr, vm, keyword = UNKNOWN, "1", ""
        assert (dictionary_vm(tag), dictionary_keyword(tag)) == (vm, keyword), hex(tag)
        if tag & 0xFFFF and not tag & 0x10000:
            assert dictionary_vr(tag) == (vr if vr != "NONE" else UNKNOWN), hex(tag)
    assert (dictionary_vr(0x00080000), dictionary_vr(0x00090010), dictionary_vr(0x00091001)) == ("UL", "LO", "UN")


def test_transfer_syntaxes_are_those_of_pydicom():
    assert transfer_syntaxes() == {uid for uid, row in UID_dictionary.items() if row[1] == "Transfer Syntax"}


def test_nothing_else_of_pydicom_is_loaded():
    done = subprocess.run([sys.executable, "-c", _LOAD], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
