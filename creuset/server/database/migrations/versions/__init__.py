"""One file a migration, numbered without gaps. A migration that was released is never changed."""
