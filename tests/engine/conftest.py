from hypothesis import settings

# The same examples every time: a failure is a bug of ours, never bad luck.
settings.register_profile("engine", derandomize=True, deadline=None)
settings.load_profile("engine")
