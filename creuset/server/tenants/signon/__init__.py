"""How people sign on: a password, or an OIDC provider. This needs the extra `tenants`; others import it late."""
