"""SCIM 2.0 (RFC 7643, 7644): a program of an identity provider creates, changes and removes people and groups."""
