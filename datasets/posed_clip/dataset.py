"""Posed RGB-D clips: depth labels and a camera pose for every frame, for training on several views.

Data card
---------
* **What**: frames of one or more clips of a moving RGB-D camera, each with its pose. `scene` in frames.csv is the clip;
  frames of one clip follow each other in time. The last fifth of each clip is its test split (`--test-share`).
* **Source**: clips of the user. 7-Scenes: J. Shotton, B. Glocker, C. Zach, S. Izadi, A. Criminisi, A. Fitzgibbon,
  "Scene Coordinate Regression Forests for Camera Relocalization in RGB-D Images", CVPR 2013. TUM RGB-D: J. Sturm,
  N. Engelhard, F. Endres, W. Burgard, D. Cremers, "A Benchmark for the Evaluation of RGB-D SLAM Systems", IROS 2012. Or
  a text model of COLMAP (J. L. Schoenberger, J.-M. Frahm, CVPR 2016) of images that have depth.
* **Licence**: 7-Scenes for non-commercial research, TUM RGB-D CC BY 4.0, other clips as their owner states.
* **Size**: the size of the files; clips of different sizes can be combined.
* **Images**: JPEG or PNG, 8 bits, decoded once.
* **Depth**: as the sensor measured it, not in-painted: 16-bit PNG at the size of the image and seen from its camera;
  millimetres, in TUM RGB-D 5000 units to the metre; 0 and 65535 are missing.
* **Poses**: 4x4 camera-to-world, metres, camera frame x right, y down, z forward, as in 7-Scenes and TUM RGB-D.
  COLMAP poses are world-to-camera and without a scale: they are inverted, and all lengths of a clip are multiplied by
  the median of measured depth / depth of the 3D point over all its observations.
* **Intrinsics**: 7-Scenes 585 585 320 240 at 640x480, TUM RGB-D 525 525 319.5 239.5 at 640x480, both scaled with the
  image, unless `--intrinsics` is given; COLMAP models have their cameras. Here pixel centres are at integer + 0.5, as
  in COLMAP; TUM RGB-D counts them at integers, so 0.5 is added to its cx and cy, also to values of `--intrinsics`.
* **Deviations**: in TUM RGB-D a colour image and a depth image belong together if their times differ by at most 0.02 s,
  nearest first, and so do image and pose; frames without either, or whose pose is NaN, infinite or zero, are left out
  and counted in `notes` of dataset.json.
  The released 7-Scenes has depth that is not registered to colour (585 is the focal length of the depth camera):
  image and depth are some pixels apart. Train and test frames show the same places, so test scores do not measure
  generalisation to new scenes.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from benchmark.registry import DATASETS
from benchmark.tasks import DEPTH, TaskSet
from datasets.loading.canonical import CanonicalDataset
from datasets.posed_clip.example import write_clips


@DATASETS.register(
    "posed_clip",
    title="Posed RGB-D clips",
    paper="https://www.microsoft.com/en-us/research/project/rgb-d-dataset-7-scenes/",
    year=2013,
)
class PosedClip(CanonicalDataset):
    """One split of posed RGB-D clips; the data card is at the top of this module.

    Arguments and items: see `CanonicalDataset`.
    """

    tasks: TaskSet = TaskSet((DEPTH,))
    command: ClassVar[str] = "python tools/prepare_clips.py --from CLIP [CLIP ...]"

    @classmethod
    def example(cls, root: Path) -> None:
        """Write two tiny clips of a camera that moves in front of a slanted wall."""
        write_clips(root)
