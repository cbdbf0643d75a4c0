"""Models that others published: what is known of them, how they are fetched, where they are kept. No torch.

Reading order: `catalogue` (known names), `wanted` (what a name stands for), `pull` (the whole way of one model),
`from_hub` with `needed`, and `from_package` (the two places models come from), `shelf` (where they lie), `origin` (what
can be said of one), `listing` (all of them).
"""
