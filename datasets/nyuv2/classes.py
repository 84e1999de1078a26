"""Class names of NYU-v2: the 894 annotated names and the coarser sets of 40 and 13 classes.

classes894.csv has the 894 names and the class 1..40 of each: the facts of `classMapping40.mat` (`allClassName` and
`mapClass`), which S. Gupta, P. Arbelaez and J. Malik published with "Perceptual Organization and Recognition of Indoor
Scenes from RGB-D Images", CVPR 2013; read from github.com/ankurhanda/nyuv2-meta-data, commit b92d15c, and equal, byte
for byte, in github.com/h-0-0/nyuv2-meta-data (MIT), commit 7735559.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

from benchmark.visualization.nyu40 import NAMES_40

CLASS_IDS_40 = {name: number for number, name in enumerate(NAMES_40, start=1)}
"""Number of each of the 40 classes in stored label maps; 0 is unlabelled."""

NAMES_13 = (
    "bed",
    "books",
    "ceiling",
    "chair",
    "floor",
    "furniture",
    "objects",
    "picture",
    "sofa",
    "table",
    "tv",
    "wall",
    "window",
)
"""Classes 1..13, in the order of class13Mapping.mat (A. Handa, SceneNet)."""


@lru_cache(maxsize=1)
def class_of_name() -> dict[str, int]:
    """Class 1..40 of each of the 894 annotated names, in the order of the official file."""
    path = Path(__file__).with_name("classes894.csv")
    with open(path, encoding="utf-8", newline="") as file:
        return {row["name"]: int(row["class40"]) for row in csv.DictReader(file)}
