"""One script a change of the tables, from the baseline on; the newest is `scandock.catalog.engine.HEAD`."""
