"""Attempt and reader processes."""
