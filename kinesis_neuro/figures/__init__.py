"""A paper's figures from the shipped policies: what they are made of, and how each is drawn."""

from kinesis_neuro.figures.catalogue import FIGURES, make_figures

__all__ = ["FIGURES", "make_figures"]
