"""The profile of PS3.15 Annex E and its options: what goes, what stays, and what an object says about it."""
