"""A table from the server gets the archive's name as it was given here, and runs no formula either."""

from __future__ import annotations

import io

from scandock.cli.upload_client.upload_engine import _copy_table


def test_the_archive_that_was_named_here_is_guarded_and_the_rest_is_as_it_came():
    made = io.StringIO(newline="")
    _copy_table(["archive,path,bytes\r\n", "upload.zip,'=1+1,12\r\n", "upload.zip,plain,-3\r\n"], "=1.zip", made)
    assert made.getvalue() == "archive,path,bytes\r\n'=1.zip,'=1+1,12\r\n'=1.zip,plain,-3\r\n"
