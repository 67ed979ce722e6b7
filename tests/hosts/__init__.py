"""A site of several hosts on this machine: each has a network, names and process numbers of its own.

`make hosts` plays all that can befall it (`test_faults.py`), `make test` a short share.
"""
