"""Tallies of series for tests, by keyword."""

from __future__ import annotations

from scandock.model.series import EcatFacts, SeriesTally
from scandock.model.tags import NUMBERS

MR, PET, CT, SR = (f"1.2.840.10008.5.1.4.1.1.{suffix}" for suffix in ("4", "128", "2", "88.22"))


def tally(uid="1.1", nested=None, frames=None, **values):
    """A series; `values` are a text, or texts with their counts, by keyword."""
    counted = {key: text if isinstance(text, dict) else {text: 1} for key, text in values.items()}
    objects = max((sum(seen.values()) for seen in counted.values()), default=1)
    made = SeriesTally(study_uid="1.9", series_uid=uid, objects=objects, frames=frames or objects, nested=nested or {})
    for keyword, seen in counted.items():
        for text, count in seen.items():
            made.add(NUMBERS[keyword], text, count)
    return made


def mr(uid="1.1", **values):
    return tally(uid, **{"SOPClassUID": MR, "Modality": "MR"} | values)


WRITTEN = EcatFacts(
    magic="MATRIX72v",
    file_type=7,
    patient_id="P1",
    patient_name="DOE",
    scan_start_time=1_000_000_000,
    study_type="brain",
    study_description="FDG brain",
    facility="PET Centre",
    acquisition_type=3,
    num_planes=47,
    num_frames=1,
    num_gates=1,
    operator="op",
    original_file_name="a.v",
    system_type=962,
    isotope="F-18",
    radiopharmaceutical="FDG",
    dose_start_time=999_999_000,
)


def ecat(**values):
    """One ECAT file; what is not named is what a scanner writes for a static scan."""
    return WRITTEN._replace(**values)
