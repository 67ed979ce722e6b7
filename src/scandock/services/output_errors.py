"""Why a file of a command's output is not written."""

from __future__ import annotations

from scandock.model.errors import BadInput, Coded, Fault, Worded


class OutputExists(Coded, BadInput):
    CODE = "output_exists"
    MEANING = "The folder of --out has a file of that name, or a file where a folder is needed: it is left as it is."
    SENTENCE = "The output folder has a file of that name already."
    REMEDY = "--overwrite replaces files, but no folders."
    ANSWERED = False


class OutputIsInput(Coded, BadInput):
    CODE = "output_is_input"
    MEANING = "The output would replace a file that is an input: inputs are never changed, also with --overwrite."
    SENTENCE = "The output would replace an input."
    REMEDY = "Name another folder with --out."
    ANSWERED = False


class OutputNotWritten(Worded, Fault):
    CODE = "output_not_written"
    MEANING = "A file of the output could not be written: the disk is full or can't be written to."
    ANSWERED = False
