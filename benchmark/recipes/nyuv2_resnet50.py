r"""nyuv2_resnet50: the protocol of the multi-task survey on NYU-v2 with a dilated ResNet-50, for a GPU.

The MTL-PyTorch harness (Vandenhende et al., TPAMI 2021): 480x640, zoom up to 1.5, flip, batch 8, 100 epochs (9,900
iterations), Adam 1e-4 with L2 weight decay 1e-4, polynomial decay of power 0.9, loss weights 1, 1, 10, 50, boundary
weight 0.95, normals divided by valid components. The backbone is ResNet-50 of stride 8 with ImageNet weights (timm
downloads them).

Its baselines have DeepLab heads, which MTAN and Cross-Stitch use by default:

    python tools/run_grid.py --recipe nyuv2_resnet50 --methods single_task,hard_sharing --set method.head=deeplab
    python tools/run_grid.py --recipe nyuv2_resnet50 --methods mtan,cross_stitch

Published, not measured here: single-task segmentation 43.5 to 44.0 mIoU (discussions of the public repository). The
harness published no network of all four tasks.
Differs: zoom factors are drawn from U(1, 1.5) in place of {1, 1.2, 1.5}, and windows anywhere, not at the centre;
the rate decays with each iteration, not each epoch. Frames of another size than 480x640 are resized, and scored
at that size. The public code trains Cross-Stitch for 50 epochs by SGD, from single-task networks:

    python tools/run_grid.py --recipe nyuv2_resnet50 --methods cross_stitch --set train_cfg.max_iters=4950 \
        --set "optim_wrapper.optimizer={'type': 'SGD', 'lr': 0.001, 'momentum': 0.9, 'weight_decay': 1e-4}"
"""

_base_ = ["_base_/runtime.py"]

dataset = "nyuv2"
backbone = "resnet50_dilated:imagenet"
tasks = dict(
    semseg=dict(loss_weight=1.0),
    depth=dict(loss_weight=1.0),
    normals=dict(loss_weight=10.0, loss_options=dict(divisor="components")),
    boundary=dict(loss_weight=50.0, loss_options=dict(positive_weight=0.95)),
)

train_cfg = dict(max_iters=9900)
train_dataloader = dict(
    batch_size=8, num_workers=8, dataset=dict(size=(480, 640), augmentation=dict(zoom=(1.0, 1.5), flip=0.5))
)
test_dataloader = dict(batch_size=8, num_workers=8, dataset=dict(size=(480, 640)))

optim_wrapper = dict(optimizer=dict(type="Adam", lr=1e-4, weight_decay=1e-4))
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, by_epoch=False, begin=0, end="max_iters")]
checkpoint_interval = 500
