"""The problem: batched physics and the imitation task."""
