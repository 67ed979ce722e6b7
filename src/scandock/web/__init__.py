"""The web process: it receives and answers, and neither parses nor inflates what it is sent."""
