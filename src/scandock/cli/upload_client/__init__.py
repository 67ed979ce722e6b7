"""The client of `scandock upload`: it speaks to a server over HTTP alone, and imports nothing of what a server is."""
