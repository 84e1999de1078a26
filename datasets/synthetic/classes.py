"""The 40 classes of NYU-v2 (Gupta, Arbelaez, Malik, CVPR 2013), in their order."""

from __future__ import annotations

NYU40 = (
    "wall",
    "floor",
    "cabinet",
    "bed",
    "chair",
    "sofa",
    "table",
    "door",
    "window",
    "bookshelf",
    "picture",
    "counter",
    "blinds",
    "desk",
    "shelves",
    "curtain",
    "dresser",
    "pillow",
    "mirror",
    "floor mat",
    "clothes",
    "ceiling",
    "books",
    "refridgerator",
    "television",
    "paper",
    "towel",
    "shower curtain",
    "box",
    "whiteboard",
    "person",
    "night stand",
    "toilet",
    "sink",
    "lamp",
    "bathtub",
    "bag",
    "otherstructure",
    "otherfurniture",
    "otherprop",
)
"""Names of the classes 1..40, spelt as there."""

CLASS_IDS = {name: number for number, name in enumerate(NYU40, start=1)}
"""Number of each class in stored label maps; 0 is unlabelled."""
