"""A served DATA under attacks: how each request was answered, what memory it cost, how long another client waited.

`python -m tests.attack.run` runs them all at full size, tests/integration/test_attack_short.py a short share of them.
"""
