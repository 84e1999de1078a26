"""NYU-Depth-V2 with 40 classes, depth, normals and boundaries.

Data card
---------
* **What**: 1449 frames of 464 indoor scenes, taken with a Kinect; 795 train and 654 test frames (the official split).
* **Validation split**: 80 of the train frames, by `datasets.layout.validation`: whole scenes by name if the source
  names all of them. The folder of JPEG copies names few scenes, so whole blocks of train frames between test frames are
  held out. The frames of a scene have consecutive numbers and lie in one split, so no block cuts a scene.
* **Source**: N. Silberman, D. Hoiem, P. Kohli, R. Fergus, "Indoor Segmentation and Support Inference from RGBD Images",
  ECCV 2012. The 40 classes: S. Gupta, P. Arbelaez, J. Malik, CVPR 2013.
* **Licence**: for research; cite the paper. The data set's page states no open licence, so no picture is ever part of
  this repository.
* **Size**: 480x640 without its white border: rows 45:470, columns 40:600, that is 425x560, as in the benchmarks this
  suite compares with. Intrinsics fx 518.857901, fy 519.469611, cx 325.582449, cy 253.736166 before the crop,
  as published, with the centre of the first pixel at (0, 0); half a pixel is added to cx and cy here.
* **Prepared from**: a copy that the user has, by `tools/prepare_nyuv2.py`: the official .mat file, one of the three
  NYUD-MT releases, MTAN's arrays, or a folder of JPEG copies. `sources` and `notes` in dataset.json name the copy, the
  derived modalities, and any change of the signs of its normals.

Source and caveats of each modality in the folder of JPEG copies, on which the results of this repository are measured:

* **images**: JPEG copies of quality 75; they differ from another copy by 0.4 grey levels on average.
* **semseg**: the 40-class labels, 0 unlabelled (13 % of the pixels in train frames, 12 % in test frames). Class 40
  (otherprop) has 6.1 % of the labelled pixels in either split. Older copies hold 255 in train frames for class 40 and
  unlabelled alike; they are refused.
* **depth**: in-painted depth at 8 bits per frame, in steps of 10 to 40 mm; 2.4 mm mean error against the original.
* **normals**: plane fits on that depth (`datasets.nyuv2.normals`), noisy far away, smooth at small detail. They are
  not the published normals: errors compare within this suite only.
* **boundary**: outlines of the classes (`datasets.nyuv2.boundaries`), not of instances; wide unlabelled regions do not
  count. They are not the published boundary maps either.
* **Deviations**: at least four data sets have this name. The releases of ASTMT and ATRC have 425x560, the release of
  MTL-PyTorch 480x640; all three have 40 classes, normals fitted in other ways (two of them with 8 bits, where a missing
  normal cannot be coded), and boundaries of instances. MTAN's copy has 13 classes at 288x384 and no boundaries. The id
  tells them apart.

Because normals and boundaries are derived here, the data-set id carries a fingerprint, and numbers under different
fingerprints are not comparable.
"""

from __future__ import annotations

from typing import ClassVar

from benchmark.registry import DATASETS
from datasets.loading.canonical import CanonicalDataset
from datasets.nyuv2.sources.source import DATA_VERSION


@DATASETS.register(
    "nyuv2", title="NYU-Depth-V2", paper="https://cs.nyu.edu/~fergus/datasets/indoor_seg_support.pdf", year=2012
)
class NYUv2(CanonicalDataset):
    """One split of NYU-Depth-V2; the data card is at the top of this module.

    Arguments and items: see `CanonicalDataset`.
    """

    version: ClassVar[int | None] = DATA_VERSION
    command: ClassVar[str] = "python tools/prepare_nyuv2.py --from-folder FOLDER"
