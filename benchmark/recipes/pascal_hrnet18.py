"""pascal_hrnet18: the published protocol on PASCAL-Context, for a GPU.

The ATRC harness (Bruggemann et al., ICCV 2021) on PASCAL-Context: crops of 512x512 from scale U(0.5, 2), flip,
photometric distortion, batch 8, 40,000 iterations, SGD with momentum 0.9 and weight decay 5e-4, polynomial decay of
power 0.9 per iteration, loss weights 1, 2, 5, 10, 50, boundary weight 0.95, normals divided by valid pixels, saliency
as two classes weighted by each batch, the last weights evaluated on images padded to 512x512. The learning rate is
0.005, as in the released configurations for PASCAL-Context (0.01 for NYU-v2). The backbone is HRNet-W18-small-v2
with ImageNet weights (timm downloads them).

Published, not measured here, with another backbone: InvPT with ViT-L, human parts 67.61 mIoU. The sources have no
number for HRNet-W18.

    python tools/prepare_pascal_context.py PASCAL_MT.tgz
    python tools/run_grid.py --recipe pascal_hrnet18 --methods single_task,hard_sharing
"""

_base_ = ["_base_/atrc_harness.py"]

dataset = "pascal_context"
tasks = dict(
    semseg=dict(loss_weight=1.0),
    human_parts=dict(loss_weight=2.0),
    saliency=dict(loss_weight=5.0, loss="balanced_cross_entropy", loss_options=dict(positive_weight=None)),
    normals=dict(loss_weight=10.0, loss_options=dict(divisor="pixels")),
    boundary=dict(loss_weight=50.0, loss_options=dict(positive_weight=0.95)),
)
train_dataloader = dict(dataset=dict(augmentation=dict(crop=(512, 512), pad=(512, 512))))
test_dataloader = dict(dataset=dict(augmentation=dict(pad=(512, 512))))
optim_wrapper = dict(optimizer=dict(lr=0.005))
