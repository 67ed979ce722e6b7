"""What people do besides importing."""
