"""Many models behind one name: names and their life, targets and their health, classes, keys of tenants."""
