"""Two dossiers of one tiny chain, made once: all documents, and two with an operator's answers."""

import pytest

from creuset.cli import main
from tests.dossier.chain import chain


@pytest.fixture(scope="session")
def root(tmp_path_factory):
    return tmp_path_factory.mktemp("dossier")


@pytest.fixture(scope="session")
def given(root):
    return chain(root)


@pytest.fixture(scope="session")
def whole(root, given):
    """All documents, with nothing said by the operator."""
    assert main(["dossier", *given, "--formats", "html,md", "--out", str(root / "whole")]) == 0  # `told` has PDF
    return root / "whole"


@pytest.fixture(scope="session")
def told(root, given):
    """Two documents, with an operator's answers."""
    names = "annex-xi,model-card"
    code = main(["dossier", *given, "--forms", names, "--operator", str(root / "operator.toml"),
                 "--out", str(root / "told")])  # fmt: skip
    assert code == 0
    return root / "told"
