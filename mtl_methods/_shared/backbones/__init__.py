"""Backbones: encoders that give a feature pyramid and can be interrupted between their stages.

A new one is one file, here or outside the checkout, that registers a function `weights -> Backbone` in `BACKBONES`.
Every model of timm with `features_only` is known as "timm:NAME".
"""

from mtl_methods._shared.backbones.interface import Backbone, StagePyramid, make_backbone, make_stages

__all__ = ["Backbone", "StagePyramid", "make_backbone", "make_stages"]
