"""nyuv2_vit_l: the published protocol of InvPT on NYU-v2 with ViT-L, for GPUs.

The InvPT harness (Ye and Xu, ECCV 2022): the augmentation of `nyuv2_hrnet18` with crops of 448x576, batch 6
(published: 3 GPUs of 2), 40,000 iterations, Adam 2e-5 with L2 weight decay 1e-6, polynomial decay of power 0.9 per
iteration, loss weights 1, 1, 10, 50, boundary weight 0.95, normals divided by valid pixels, fp32, the last weights
evaluated at 425x560 padded to 448x576. The backbone is ViT-L/16 with ImageNet weights at 384x384 (timm downloads
them).

    python tools/run_grid.py --recipe nyuv2_vit_l --methods invpt --set method.image_size=448,576

Published, not measured here (mIoU, depth RMSE, normals, odsF): InvPT 53.56, 0.5183 m, 19.04 deg, 78.10; InvPT from
the public code 53.65, 0.5083, 18.68, 77.80; InvPT with the 3D-aware regularizer 54.87, 0.5006, 18.55, 78.30.
Differs: one GPU holds the batch, so batch normalisation needs no synchronisation; padding is removed before scoring.
Smaller batches with accumulated gradients, or `optim_wrapper.precision=bf16`, need less memory but change the
protocol.
"""

_base_ = ["nyuv2_hrnet18.py"]

backbone = "vit_large:imagenet"
tasks = dict(boundary=dict(loss_options=dict(positive_weight=0.95)))

train_dataloader = dict(batch_size=6, dataset=dict(augmentation=dict(crop=(448, 576), pad=(448, 576))))
test_dataloader = dict(batch_size=6, dataset=dict(augmentation=dict(pad=(448, 576))))

optim_wrapper = dict(optimizer=dict(_delete_=True, type="Adam", lr=2e-5, weight_decay=1e-6))
