"""Settings shared by the recipes for a CPU: EfficientNet-Lite0, 120x160, batches of 8, AdamW."""

_base_ = ["runtime.py"]

backbone = "efficientnet_lite0:imagenet"
tasks = dict(
    semseg=dict(loss_weight=1.0),
    depth=dict(loss_weight=1.0),
    normals=dict(loss_weight=10 / 3, loss_options=dict(divisor="pixels")),
    boundary=dict(loss_weight=10.0, loss_options=dict(positive_weight=0.8)),
)
train_cfg = dict(max_iters=1500)
train_dataloader = dict(
    batch_size=8,
    num_workers=0,
    dataset=dict(size=(120, 160), cache=True, augmentation=dict(zoom=(1.0, 1.5), flip=0.5, photometric=1.0)),
)
test_dataloader = dict(batch_size=8, num_workers=0, dataset=dict(size=(120, 160), cache=True))
# Fused AdamW updates all weights in one pass, which halves the time of the optimizer step on a CPU.
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=2.5e-3, weight_decay=0.05, fused=True))
param_scheduler = [
    dict(type="LinearLR", start_factor=0.02, by_epoch=False, begin=0, end=50),
    dict(type="PolyLR", power=0.9, eta_min=0.0, by_epoch=False, begin=0, end="max_iters"),
]
