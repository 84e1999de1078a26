"""PASCAL-Context: 21 classes, human parts, saliency, normals and boundaries.

Data card
---------
* **What**: 10,103 photographs of indoor and outdoor scenes; 4998 train and 5105 test frames (the published train and
  val splits; there is no other test split, so the last checkpoint is evaluated, not the best).
* **Source**: M. Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010; R. Mottaghi et al., "The
  Role of Context for Object Detection and Semantic Segmentation in the Wild", CVPR 2014; X. Chen et al., "Detect What
  You Can", CVPR 2014 (parts); K.-K. Maninis, I. Radosavovic, I. Kokkinos, "Attentive Single-Tasking of Multiple Tasks",
  CVPR 2019 (this collection, and its distilled labels).
* **Licence**: of the photographs, that of flickr; the annotations are for research. Nothing of it is part of this
  repository.
* **Size**: every photograph has its own, up to 500 pixels a side. Training crops 512x512, evaluation pads to 512x512
  with pixels that do not count, and cuts the padding off before it scores.
* **Camera**: not known. Intrinsics are assumed, with a focal length of the longer side.

What each modality is made from, and its caveats:

* **images**: the photographs of PASCAL VOC, decoded from the release's JPEG files.
* **semseg**: the 20 classes of PASCAL VOC and the background, which is a class and counts; the borders of objects are
  unlabelled in the frames that VOC labelled.
* **human_parts**: head, torso, upper and lower arms, upper and lower legs, background. An image, or a training crop,
  that shows no part does not count at all, neither in the loss nor in the mIoU, as in ASTMT, ATRC and InvPT.
* **saliency**: distilled: what another network predicted, cut at 0.5. There is no human annotation.
* **normals**: distilled, from a network that learned from NYU-v2; unlabelled where the class is not also one of
  NYU-v2's 894. From 8 bits, brought to length 1 (the published loaders leave them within 1 % of it).
* **boundary**: of the 459 classes of the full annotation. The train split has what methods learn from,
  thin(|Laplacian| > 0); the test split has what the evaluation tool makes, the thinned outlines, so that no further
  thinning or outlining is due. Tolerance 0.0075 of the diagonal.
* **Deviations**: papers differ in the saliency number that they call maxF (see the metric cards), in whether images
  without a human part count, and in the size and padding of frames at evaluation.
"""

from __future__ import annotations

from typing import ClassVar

from benchmark.registry import DATASETS
from benchmark.tasks import PASCAL_TASKS, TaskSet
from datasets.loading.canonical import CanonicalDataset


@DATASETS.register("pascal_context", title="PASCAL-Context", paper="https://arxiv.org/abs/1904.08918", year=2019)
class PASCALContext(CanonicalDataset):
    """One split of PASCAL-Context; the data card is at the top of this module.

    Arguments and items: see `CanonicalDataset`. Frames have different sizes, so either `size` or an augmentation with
    `crop` or `pad` must bring them to one.
    """

    tasks: TaskSet = PASCAL_TASKS
    varied: ClassVar[bool] = True
    command: ClassVar[str] = "python tools/prepare_pascal_context.py PASCAL_MT.tgz"
