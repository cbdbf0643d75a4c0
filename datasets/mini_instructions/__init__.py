"""Instruction data written by rule: each module names its source, its licence and what it teaches."""
