"""Intent, switch, publish, take over, janitor: the only room that makes a session visible."""
