"""XNAT's REST dialect, for clients that speak it: `/data`, `/REST` and `/xapi` on the same services as all else."""
