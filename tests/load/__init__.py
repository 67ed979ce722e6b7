"""A server under the load of many uploaders: what it loses (nothing), how long imports take, how its memory goes."""
