"""One thread for every test and for what it starts: tiny models gain nothing from more, and busy machines lose much.

And no model that somebody pulled: a test sees its own store, or none.
"""

import os
import tempfile

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["CREUSET_HOME"] = os.path.join(tempfile.gettempdir(), "creuset-tests-have-no-store")
