"""Watching a policy or a recording in MuJoCo's viewer."""

from kinesis_neuro.view.loop import view

__all__ = ["view"]
