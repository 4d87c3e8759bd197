"""Sentences to reference motions: clips of a library, picked, trimmed and joined."""
