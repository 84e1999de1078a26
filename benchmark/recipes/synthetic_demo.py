r"""synthetic_demo: the embedded rooms, in minutes on a CPU; what `make demo` runs.

Rendered rooms at 96x128, EfficientNet-Lite0 from packaged ImageNet weights, 120 iterations of 8 images. Every method
should end clearly above `constant`; the numbers mean nothing beyond that.

    python tools/run_grid.py --recipe synthetic_demo --methods constant,single_task,hard_sharing \
        --regularizers none,aux_heads
"""

_base_ = ["_base_/runtime.py"]

dataset = "synthetic"
backbone = "efficientnet_lite0:imagenet"
tasks = dict(
    semseg=dict(loss_weight=1.0),
    depth=dict(loss_weight=1.0),
    normals=dict(loss_weight=10 / 3, loss_options=dict(divisor="pixels")),
    boundary=dict(loss_weight=10.0, loss_options=dict(positive_weight=0.8)),
)

train_cfg = dict(max_iters=120)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(size=(96, 128), cache=True, augmentation=dict(zoom=(1.0, 1.3), flip=0.5, photometric=1.0)),
)
test_dataloader = dict(batch_size=8, num_workers=0, dataset=dict(size=(96, 128), cache=True))

optim_wrapper = dict(optimizer=dict(type="AdamW", lr=2.5e-3, weight_decay=0.05, fused=True))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=10),
    dict(type="PolyLR", power=0.9, eta_min=0.0, by_epoch=False, begin=0, end="max_iters"),
]
checkpoint_interval = 100
