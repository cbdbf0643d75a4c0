"""How replies are judged by rules: clauses, and a table of words for each rule."""
