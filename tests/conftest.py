"""One thread for every test and for what it starts: tiny models gain nothing from more, and busy machines lose much.

And no model that somebody pulled: a test sees its own store, or none.
"""

import atexit
import gc
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.order import group_of, rank

os.environ.setdefault("OMP_NUM_THREADS", "1")
if "CREUSET_TESTS" not in os.environ:  # the first process of a run; those that it starts have the same folder
    os.environ["CREUSET_TESTS"] = tempfile.mkdtemp(prefix="creuset-tests-")
    atexit.register(shutil.rmtree, os.environ["CREUSET_TESTS"], ignore_errors=True)
os.environ["CREUSET_HOME"] = os.path.join(os.environ["CREUSET_TESTS"], "no-store")


gc.disable()  # until the tests begin


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: the garbage collector need not look at it again and again."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    gc.enable()


def pytest_configure(config: pytest.Config) -> None:
    """The kernels are those of the sources: built again where a file of `native/` has changed."""
    if not hasattr(config, "workerinput"):
        build = Path(__file__).parent.parent / "native" / "build.py"
        subprocess.run([sys.executable, str(build), "--optional"], check=False)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: rank(item.nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """With several processes: groups instead of files (tests/order.py)."""
    from xdist.scheduler import LoadFileScheduling

    class LoadGroups(LoadFileScheduling):
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid)

    return LoadGroups(config, log) if config.option.dist == "loadfile" else None
