"""Imports that are killed, stopped or crowded, and a judge of what they leave that shares no code with them.

`python -m tests.crash.run` plays as many rounds as one likes, tests/integration/test_crash_short.py a short share.
"""
