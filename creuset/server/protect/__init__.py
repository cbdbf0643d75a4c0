"""What security and data protection officers ask of a server: encryption, retention, guards, the audit log, egress."""
