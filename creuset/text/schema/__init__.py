"""JSON Schemas as far as a grammar can enforce them."""
