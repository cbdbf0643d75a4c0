"""Documents about a model, from the records that measured it. No torch here."""
