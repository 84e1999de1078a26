"""pascal_resnet50: the multi-task survey on PASCAL-Context with a dilated ResNet-50, for a GPU.

The MTL-PyTorch harness (Vandenhende et al., TPAMI 2021): 512x512, flip, batch 6, 100 epochs (83,300 iterations), Adam
1e-4 with L2 weight decay 1e-4, polynomial decay of power 0.9, loss weights 1, 2, 5, 10, 50, boundary weight 0.95,
normals divided by valid components. This is its configuration for ResNet-18; it has no configuration for ResNet-50. The
backbone is ResNet-50 of stride 8 with ImageNet weights (timm downloads them).

    python tools/run_grid.py --recipe pascal_resnet50 --methods single_task,hard_sharing --set method.head=deeplab
    python tools/run_grid.py --recipe pascal_resnet50 --methods mtan,cross_stitch

Published, not measured here: no number for this backbone.
Differs: frames are scaled by U(0.75, 1.25) and cropped or padded to 512x512, without the rotation of the public code;
saliency is two classes weighted by each batch, as in `pascal_hrnet18`; the rate decays with each iteration, not each
epoch.
"""

_base_ = ["pascal_hrnet18.py"]

backbone = "resnet50_dilated:imagenet"
tasks = dict(normals=dict(loss_options=dict(divisor="components")))

train_cfg = dict(max_iters=83300)
train_dataloader = dict(
    batch_size=6, dataset=dict(augmentation=dict(scale=(0.75, 1.25), cat_max_ratio=1.0, photometric=0.0))
)
test_dataloader = dict(batch_size=6)

optim_wrapper = dict(optimizer=dict(_delete_=True, type="Adam", lr=1e-4, weight_decay=1e-4))
