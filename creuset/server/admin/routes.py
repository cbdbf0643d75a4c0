"""The routes of administration, where the server has a directory."""

from creuset.server.admin.call import Routes
from creuset.server.admin.oidc import oidc_routes
from creuset.server.admin.people import people_routes
from creuset.server.admin.projects import project_routes
from creuset.server.admin.roles import role_routes
from creuset.server.admin.signon import signon_routes
from creuset.server.state import ServerState


def admin_routes(state: ServerState) -> Routes:
    """(method, path, handler) of each route."""
    directory = state.directory
    if directory is None:
        return []
    return [
        *project_routes(directory),
        *people_routes(directory),
        *role_routes(directory),
        *signon_routes(directory),
        *oidc_routes(directory),
    ]
