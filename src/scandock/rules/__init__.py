"""Facts to decisions: pure functions and tables."""
