"""Leaf readers of foreign files: arrays come out, and nothing else of the library comes in."""
