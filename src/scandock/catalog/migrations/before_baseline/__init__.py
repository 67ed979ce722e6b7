"""The scripts from before the baseline, by which a catalog of an older version is brought up to it."""
