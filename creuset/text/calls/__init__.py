"""How models write tool calls and thoughts: the marks of each family, parsers of them, grammars that enforce them."""
