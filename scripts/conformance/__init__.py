"""The conformance statement, docs/dicom-conformance.md, made from the code: `python -m scripts.conformance` writes it.

Tables come from what negotiates, routes and answers; the sentences between them stand here. A test holds the page to
it.
"""
