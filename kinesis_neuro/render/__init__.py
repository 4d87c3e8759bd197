"""Pictures of a recording: the body in motion, muscles coloured by activation."""

from kinesis_neuro.render.film import render_filmstrip, render_video

__all__ = ["render_filmstrip", "render_video"]
