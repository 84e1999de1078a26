"""PASCAL-Context: 21 classes, human parts, saliency, normals and boundaries.

Data card
---------
* **What**: 10,103 photographs of indoor and outdoor scenes; 4998 train and 5105 test frames (the published train and
  val splits; there is no other test split, so the last checkpoint is evaluated, not the best).
* **Source**: M. Everingham et al., "The PASCAL Visual Object Classes Challenge", IJCV 2010; R. Mottaghi et al., "The
  Role of Context for Object Detection and Semantic Segmentation in the Wild", CVPR 2014; X. Chen et al., "Detect What
  You Can", CVPR 2014 (parts); K.-K. Maninis, I. Radosavovic, I. Kokkinos, "Attentive Single-Tasking of Multiple Tasks",
  CVPR 2019 (this collection, and its distilled labels).
* **Licence**: the photographs have the terms of flickr; the annotations are for research. This repository contains
  neither.
* **Size**: different for each photograph, up to 500 pixels a side. Training crops 512x512, evaluation pads to 512x512
  with ignored pixels and crops the padding before scoring.
* **Camera**: not known. A focal length equal to the longer side is assumed.

Source and caveats of each modality:

* **images**: the photographs of PASCAL VOC, decoded from the release's JPEG files.
* **semseg**: the 20 classes of PASCAL VOC and the background, which counts as a class; the borders of objects are
  unlabelled in the frames that VOC labelled.
* **human_parts**: head, torso, upper and lower arms, upper and lower legs, background. An image or a training
  crop without any part counts neither in the loss nor in the mIoU, as in ASTMT, ATRC and InvPT.
* **saliency**: distilled: predictions of another network, thresholded at 0.5. No human annotation exists.
* **normals**: distilled, from a network that learned from NYU-v2; unlabelled where the class is not one of the
  894 classes of NYU-v2. Decoded from 8 bits and normalised to length 1 (the published loaders leave a deviation of 1
  %).
* **boundary**: boundaries of the 459 classes of the full annotation. The train split has the training labels,
  thin(|Laplacian| > 0); the test split has the labels of the evaluation tool, the thinned outlines, which need no
  further processing. Tolerance 0.0075 of the diagonal.
* **Deviations**: papers differ in the definition of the saliency metric maxF (see the metric cards), in the treatment
  of images without a human part, and in the size and padding of frames at evaluation.
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
    `crop` or `pad` is needed.
    """

    tasks: TaskSet = PASCAL_TASKS
    varied: ClassVar[bool] = True
    command: ClassVar[str] = "python tools/prepare_pascal_context.py PASCAL_MT.tgz"
