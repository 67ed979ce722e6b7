"""Accounts, their logins and tokens, and what they may do."""
