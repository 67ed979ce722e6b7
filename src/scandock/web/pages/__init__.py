"""The pages: HTML for people, over the same services as the API. Every page works without scripts."""
