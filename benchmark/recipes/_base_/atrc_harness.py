"""Settings shared by the protocols of the ATRC harness: 40,000 iterations, scale and crop, SGD, polynomial decay."""

_base_ = ["runtime.py"]

backbone = "hrnet_w18_small_v2:imagenet"
train_cfg = dict(max_iters=40000)
train_dataloader = dict(
    batch_size=8,
    num_workers=8,
    dataset=dict(size=None, augmentation=dict(scale=(0.5, 2.0), cat_max_ratio=0.75, flip=0.5, photometric=1.0)),
)
test_dataloader = dict(batch_size=8, num_workers=8, dataset=dict(size=None))
optim_wrapper = dict(optimizer=dict(type="SGD", lr=0.01, momentum=0.9, weight_decay=5e-4))
param_scheduler = [dict(type="PolyLR", power=0.9, eta_min=0.0, by_epoch=False, begin=0, end="max_iters")]
checkpoint_interval = 2000
