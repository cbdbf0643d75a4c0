"""What can be tried on a server."""
