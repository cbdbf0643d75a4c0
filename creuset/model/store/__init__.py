"""Models that others published: what is known of them, how they are fetched, where they are kept.

Reading order: `catalogue` (known names), `wanted` (what a name stands for), `pull` (the whole way of one model), `hub`
and `package` (the two places models come from), `shelf` (where they lie), `origin` (what can be said of one). No torch.
"""
