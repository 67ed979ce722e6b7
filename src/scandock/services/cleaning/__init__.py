"""What is taken away by itself, in the background: one list of cleaners, and the clock that they ask."""
