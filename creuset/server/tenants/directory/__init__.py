"""Organizations, projects, groups, users, service accounts, roles and keys."""
