"""One script a change of the tables, the newest named by `scandock.catalog.engine.HEAD`."""
