"""Which import is next: enqueue, claim, renew, finish."""
