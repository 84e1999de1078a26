"""Backbones: encoders that give a feature pyramid and can be interrupted between their stages.

A new one is one file in this folder that registers a function `weights -> Backbone` in `BACKBONES`.
"""

from mtl_methods._shared.backbones.interface import Backbone, make_backbone, make_stages

__all__ = ["Backbone", "make_backbone", "make_stages"]
