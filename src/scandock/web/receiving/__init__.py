"""Bytes of uploads on their way to the spool."""
