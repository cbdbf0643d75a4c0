"""creuset: from a corpus to an audited assistant, in one package."""

__version__ = "0.1.0"
