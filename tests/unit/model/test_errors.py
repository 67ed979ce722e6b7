"""Errors of classes of their own."""

from __future__ import annotations

import copy
import pickle

from scandock.cli.command_errors import OutputFailed
from scandock.model.errors import ScandockError


def test_an_error_that_takes_arguments_of_its_own_is_copied_and_pickled_with_its_sentences() -> None:
    error = OutputFailed("no space left on device")
    for again in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(again) is OutputFailed
        assert isinstance(again, ScandockError)
        assert (again.code, str(again)) == (
            "output_failed",
            "The output could not be written: no space left on device.",
        )
