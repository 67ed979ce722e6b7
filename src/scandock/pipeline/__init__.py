"""The story, one module a step."""
