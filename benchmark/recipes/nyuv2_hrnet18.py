"""nyuv2_hrnet18: the published protocol on NYU-v2, for those who own a GPU.

The ATRC harness (Bruggemann et al., ICCV 2021), which produced the HRNet-W18 rows of the published tables: 425x560,
scale U(0.5, 2), crop, flip, photometric distortion, batch 8, 40,000 iterations, SGD 0.01 with momentum 0.9 and weight
decay 5e-4, polynomial decay of power 0.9 per iteration, loss weights 1, 1, 10, 50, boundary weight 0.8, normals
divided by valid pixels, the last weights evaluated at 425x560. The backbone is HRNet-W18-small-v2 with ImageNet
weights (timm downloads them).

Published, not measured here (mIoU, depth RMSE, normals, odsF), where not marked from memory:

| row | numbers | here |
| --- | --- | --- |
| single task | 38.02, 0.6104 m, 20.94 deg, 76.22 (memory) | `single_task` |
| hard sharing | 36.35, 0.6284, 21.02, 76.36 (depth, odsF: memory) | `hard_sharing` |
| Cross-Stitch | 36.34, 0.6290, 20.88, 76.38 | `cross_stitch` with `--set method.where=heads` |
| PAP | 36.72, 0.6178, 20.82, 76.42 | `pap` with `--set method.where=heads` |
| PSD | 36.69, 0.6246, 20.87, 76.42 | `psd` with `--set method.where=heads` |
| PAD-Net | 36.61, 0.6270, 20.85, 76.38 | `pad_net` with `--set method.where=heads --set method.gate=target` |
| ATRC | 38.90, 0.6010, 20.48, 76.34 (memory) | `atrc` |

That the rows of Cross-Stitch, PAP, PSD and PAD-Net have this backbone, and their modules in the heads, is inferred from
their numbers of parameters.

Differs: normals and boundaries are derived from depth and labels where the release at hand lacks them.
"""

_base_ = ["_base_/runtime.py"]

dataset = "nyuv2"
backbone = "hrnet_w18_small_v2:imagenet"
tasks = dict(
    semseg=dict(loss_weight=1.0),
    depth=dict(loss_weight=1.0),
    normals=dict(loss_weight=10.0, loss_options=dict(divisor="pixels")),
    boundary=dict(loss_weight=50.0, loss_options=dict(positive_weight=0.8)),
)

train_cfg = dict(max_iters=40000)
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    dataset=dict(
        size=None,
        augmentation=dict(
            scale=(0.5, 2.0), crop=(425, 560), cat_max_ratio=0.75, flip=0.5, photometric=1.0, pad=(425, 560)
        ),
    ),
)
test_dataloader = dict(batch_size=8, num_workers=8, dataset=dict(size=None))

optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, by_epoch=False, begin=0, end="max_iters")]
checkpoint_interval = 2000
