"""Parameters of an MR scan (xnat-behaviour.md 4.5); enhanced objects give theirs from their functional groups."""

from __future__ import annotations

from typing import Final

from scandock.model.series import SeriesTally
from scandock.rules.tally_values import count_values, measured_value, parse_number, shorten_number, split_values

PLAIN: Final[dict[str, str]] = {
    "coil": "ReceiveCoilName",
    "parameters/tr": "RepetitionTime",
    "parameters/ti": "InversionTime",
    "parameters/flip": "FlipAngle",
    "parameters/sequence": "SequenceName",
    "parameters/imageType": "ImageType",
    "parameters/scanSequence": "ScanningSequence",
    "parameters/seqVariant": "SequenceVariant",
    "parameters/scanOptions": "ScanOptions",
    "parameters/acqType": "MRAcquisitionType",
    "parameters/pixelBandwidth": "PixelBandwidth",
    "parameters/contrastBolusAgent": "ContrastBolusAgent",
    "parameters/inPlanePhaseEncoding/direction": "InPlanePhaseEncodingDirection",
}
GEOMETRY: Final = (
    "parameters/voxelRes/x", "parameters/voxelRes/y", "parameters/voxelRes/z", "parameters/fov/x", "parameters/fov/y",
)  # fmt: skip
"""What `geometry` gives, of scans of other kinds too."""
NAMES: Final = (
    *PLAIN, *GEOMETRY, "fieldStrength", "parameters/te", "parameters/matrix/x", "parameters/matrix/y",
    "parameters/orientation", "parameters/diffusion/bValues",
)  # fmt: skip
"""All that `mr_parameters` gives, but the echo times of several."""
MAX_ECHOES: Final = 64
MAX_B_VALUES: Final = 64
_EPSILON: Final = 0.001


def mr_parameters(tally: SeriesTally) -> dict[str, str]:
    """Parameters by XNAT's names; a value on which the series disagrees is empty, several echo times are listed."""
    parameters = {name: measured_value(tally, keyword) for name, keyword in PLAIN.items()}
    strengths = {field_strength(text) for text in count_values(tally, "MagneticFieldStrength")} - {""}
    parameters["fieldStrength"] = strengths.pop() if len(strengths) == 1 else ""
    parameters.update(geometry(tally))
    parameters.update(echoes(tally))
    parameters.update(_matrix(tally))
    parameters["parameters/orientation"] = orientation(count_values(tally, "ImageOrientationPatient"))
    parameters["parameters/diffusion/bValues"] = _b_values(tally)
    return parameters


def field_strength(text: str) -> str:
    """MagneticFieldStrength in tesla to the nearest half, `3.0`; 500 and more is gauss (4.4). Empty where unreadable.

    Fields below a quarter tesla keep their value: rounding would make them 0.
    """
    value = parse_number(text)
    if value is None or value <= 0:
        return ""
    tesla = value / 10000 if value >= 500 else value
    rounded = int(tesla * 2 + 0.5) / 2
    return f"{rounded:.1f}" if rounded else f"{tesla:.3g}"


def geometry(tally: SeriesTally) -> dict[str, str]:
    """Field of view in pixels and voxel size in mm: PixelSpacing is row spacing (y), then column spacing (x)."""
    spacing = split_values(measured_value(tally, "PixelSpacing"))
    x, y = (spacing[1], spacing[0]) if len(spacing) == 2 else ("", "")
    z = measured_value(tally, "SliceThickness") or measured_value(tally, "SpacingBetweenSlices")
    return dict(zip(GEOMETRY, (x, y, z, measured_value(tally, "Columns"), measured_value(tally, "Rows")), strict=True))


def echoes(tally: SeriesTally) -> dict[str, str]:
    """`parameters/te`, or one `MultiEcho_TE{n}` for each of several echo times, shortest first."""
    single = measured_value(tally, "EchoTime")
    if single:
        return {"parameters/te": single}
    echo_times = {value for text in count_values(tally, "EchoTime") if (value := parse_number(text)) is not None}
    if not 1 < len(echo_times) <= MAX_ECHOES:
        return {}
    return {
        f"parameters/addParam/MultiEcho_TE{n}": shorten_number(str(te)) for n, te in enumerate(sorted(echo_times), 1)
    }


def orientation(value_counts: dict[str, int]) -> str:
    """`Sag`, `Cor` or `Tra` by the largest component of the slice normal; empty where slices differ."""
    planes = {_plane(text) for text in value_counts}
    return planes.pop() if len(planes) == 1 else ""


def _plane(text: str) -> str:
    values = [parse_number(part) for part in split_values(text)]
    if len(values) != 6 or None in values:
        return ""
    a, b, c, d, e, f = (value for value in values if value is not None)
    normal = {"Sag": abs(b * f - c * e), "Cor": abs(c * d - a * f), "Tra": abs(a * e - b * d)}
    first, second, _ = sorted(normal, key=lambda plane: normal[plane], reverse=True)
    return first if normal[first] - normal[second] > _EPSILON else ""


def _matrix(tally: SeriesTally) -> dict[str, str]:
    """Acquisition matrix: frequency rows and columns, phase rows and columns, of which two are zero (PS3.3 C.8.3.1)."""
    sizes = [part for part in split_values(measured_value(tally, "AcquisitionMatrix")) if parse_number(part)]
    return {"parameters/matrix/x": sizes[0], "parameters/matrix/y": sizes[1]} if len(sizes) == 2 else {}


def _b_values(tally: SeriesTally) -> str:
    values = {value for text in count_values(tally, "DiffusionBValue") if (value := parse_number(text)) is not None}
    return ",".join(f"{value:g}" for value in sorted(values)) if 0 < len(values) <= MAX_B_VALUES else ""
