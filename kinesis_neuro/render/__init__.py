"""Pictures of a recording: the body in motion, muscles coloured by activation."""

from kinesis_neuro.render.film import render_video
from kinesis_neuro.render.strip import filmstrip_figure, render_filmstrip

__all__ = ["filmstrip_figure", "render_filmstrip", "render_video"]
