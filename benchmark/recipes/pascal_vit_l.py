"""pascal_vit_l: the published protocol of InvPT on PASCAL-Context with ViT-L, for GPUs.

The InvPT harness (Ye and Xu, ECCV 2022): the augmentation, losses and weights of `pascal_hrnet18` (crops of 512x512,
loss weights 1, 2, 5, 10, 50, boundary weight 0.95), and the optimiser of its NYU-v2 configuration: batch 6, 40,000
iterations, Adam 2e-5 with L2 weight decay 1e-6, polynomial decay of power 0.9 per iteration, fp32. The backbone is
ViT-L/16 with ImageNet weights at 384x384 (timm downloads them).

    python tools/run_grid.py --recipe pascal_vit_l --methods invpt --set method.image_size=512,512

Published, not measured here: InvPT 79.03 mIoU, human parts 67.61 mIoU, saliency 84.81 maxF, normals 14.15 deg,
boundary 73.00 odsF; from the public code 79.91, 68.54, 84.38, 13.90, 72.90.
Differs: one GPU holds the batch, so batch normalisation needs no synchronisation. Batch size and optimiser are assumed
to be the same as for NYU-v2.
"""

_base_ = ["pascal_hrnet18.py"]

backbone = "vit_large:imagenet"

train_dataloader = dict(batch_size=6)
test_dataloader = dict(batch_size=6)

optim_wrapper = dict(optimizer=dict(_delete_=True, type="Adam", lr=2e-5, weight_decay=1e-6))
