"""Questions in several languages."""
