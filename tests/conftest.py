"""One thread for every test and for what it starts: tiny models gain nothing from more, and busy machines lose much."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
