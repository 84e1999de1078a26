"""nyuv2_hrnet18: the published protocol on NYU-v2, for a GPU.

The ATRC harness (Bruggemann et al., ICCV 2021), which produced the HRNet-W18 rows of the published tables: 425x560,
scale U(0.5, 2), crop, flip, photometric distortion, batch 8, 40,000 iterations, SGD 0.01 with momentum 0.9 and weight
decay 5e-4, polynomial decay of power 0.9 per iteration, loss weights 1, 1, 10, 50, boundary weight 0.8, normals
divided by valid pixels, the last weights evaluated at 425x560. The backbone is HRNet-W18-small-v2 with ImageNet
weights (timm downloads them).

Published, not measured here (mIoU, depth RMSE, normals, odsF); a dash if the source has no number:

| row | numbers | here |
| --- | --- | --- |
| hard sharing | 36.35, -, 21.02 deg, - | `hard_sharing` |
| hard sharing, a second training by its authors | 36.83, 0.6323 m, 21.01 deg, - | `hard_sharing` |

Differs: normals and boundaries that a release lacks are computed from depth and labels.
"""

_base_ = ["_base_/atrc_harness.py"]

dataset = "nyuv2"
tasks = dict(
    semseg=dict(loss_weight=1.0),
    depth=dict(loss_weight=1.0),
    normals=dict(loss_weight=10.0, loss_options=dict(divisor="pixels")),
    boundary=dict(loss_weight=50.0, loss_options=dict(positive_weight=0.8)),
)
train_dataloader = dict(dataset=dict(augmentation=dict(crop=(425, 560), pad=(425, 560))))
