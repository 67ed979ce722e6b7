"""The tests of DICOMweb that Orthanc's authors wrote, run against Scandock from a checkout outside the project."""
