"""Parameters of a CT scan (xnat-behaviour.md 4.5)."""

from __future__ import annotations

from typing import Final

from scandock.model.series import SeriesTally
from scandock.rules.mr import GEOMETRY, geometry, orientation
from scandock.rules.tally_values import count_values, measured_value

PLAIN: Final[dict[str, str]] = {
    "parameters/rescale/intercept": "RescaleIntercept",
    "parameters/rescale/slope": "RescaleSlope",
    "parameters/kvp": "KVP",
    "parameters/acquisitionNumber": "AcquisitionNumber",
    "parameters/imageType": "ImageType",
    "parameters/options": "ScanOptions",
    "parameters/collectionDiameter": "DataCollectionDiameter",
    "parameters/reconstructionDiameter": "ReconstructionDiameter",
    "parameters/distanceSourceToDetector": "DistanceSourceToDetector",
    "parameters/distanceSourceToPatient": "DistanceSourceToPatient",
    "parameters/gantryTilt": "GantryDetectorTilt",
    "parameters/tableHeight": "TableHeight",
    "parameters/exposureTime": "ExposureTime",
    "parameters/xrayTubeCurrent": "XRayTubeCurrent",
    "parameters/exposure": "Exposure",
    "parameters/filter": "FilterType",
    "parameters/generatorPower": "GeneratorPower",
    "parameters/focalSpots": "FocalSpots",
    "parameters/contrastBolus": "ContrastBolusAgent",
    "parameters/convolutionKernel": "ConvolutionKernel",
    "parameters/revolutionTime": "RevolutionTime",
    "parameters/collimationWidth/single": "SingleCollimationWidth",
    "parameters/collimationWidth/total": "TotalCollimationWidth",
    "parameters/tableSpeed": "TableSpeed",
    "parameters/tableFeedPerRotation": "TableFeedPerRotation",
    "parameters/pitchFactor": "SpiralPitchFactor",
    "parameters/estimatedDoseSaving": "EstimatedDoseSaving",
    "parameters/ctDIvol": "CTDIvol",
}
NAMES: Final = (*PLAIN, *GEOMETRY, "parameters/rotationDirection", "parameters/orientation")
"""All that `ct_parameters` gives."""


def ct_parameters(tally: SeriesTally) -> dict[str, str]:
    """Parameters by XNAT's names; a value on which the series disagrees (current under modulation) is empty."""
    parameters = {name: measured_value(tally, keyword) for name, keyword in PLAIN.items()}
    direction = measured_value(tally, "RotationDirection").upper()
    parameters["parameters/rotationDirection"] = "CCW" if direction == "CC" else direction
    parameters["parameters/orientation"] = orientation(count_values(tally, "ImageOrientationPatient"))
    parameters.update(geometry(tally))
    return parameters
