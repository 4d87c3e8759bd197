"""Rollouts on many processes and machines, through Ray."""
