r"""synthetic_demo: the embedded rooms, in minutes on a CPU; the recipe of `make demo`.

Rendered rooms at 96x128, EfficientNet-Lite0 from packaged ImageNet weights, 120 iterations of 8 images. Every method
should score clearly better than `constant`; the numbers have no further meaning.

    python tools/run_grid.py --recipe synthetic_demo --methods constant,single_task,hard_sharing \
        --regularizers none,aux_heads
"""

_base_ = ["_base_/lite.py"]

dataset = "synthetic"
train_cfg = dict(max_iters=120)
train_dataloader = dict(dataset=dict(size=(96, 128), augmentation=dict(zoom=(1.0, 1.3))))
test_dataloader = dict(dataset=dict(size=(96, 128)))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.1, by_epoch=False, begin=0, end=10),
    dict(type="PolyLR", power=0.9, eta_min=0.0, by_epoch=False, begin=0, end="max_iters"),
]
checkpoint_interval = 100
