"""The reference: what the body is asked to follow."""
