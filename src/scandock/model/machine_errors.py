"""Faults of the machine that the catalog and the store both meet, or a mistake of the program's own."""

from __future__ import annotations

from scandock.model.errors import Fault, Worded


class DiskFull(Worded, Fault):
    CODE = "disk_full"
    STATUS = 507


class InternalFault(Worded, Fault):
    CODE = "internal"
