"""Every table of the server's database: importing this fills `META`."""

from creuset.server.batches import tables as batches
from creuset.server.files import tables as files
from creuset.server.protect import tables as protect
from creuset.server.responses import tables as items
from creuset.server.routes import tables as routes
from creuset.server.tenants.directory import tables as directory
from creuset.server.tenants.money import tables as money

__all__ = ["batches", "directory", "files", "items", "money", "protect", "routes"]
