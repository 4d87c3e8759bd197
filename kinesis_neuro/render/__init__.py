"""Pictures of a recording: the body in motion, muscles coloured by activation."""

from kinesis_neuro.render.film import filmstrip_figure, render_filmstrip, render_video

__all__ = ["filmstrip_figure", "render_filmstrip", "render_video"]
