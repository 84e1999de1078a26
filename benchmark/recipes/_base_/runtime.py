"""Settings shared by all recipes: logging, visualisation back-ends, loops, construction of the optimizer.

A recipe may further say `compile = True`, or `compile = dict(mode=...)` with keywords of `torch.compile`: the method
then runs compiled, in training and evaluation, with the same weights under the same names.
"""

# Folder of the data: a name below MTL_DATA, or a path; None where it has the name of the data set.
root = None
# Pairs of posed views that are merged into the training split, for regularizers that know what to do with two views:
# the name of a data set, or its name, root and gap, see `datasets.loading.pairs`.
# And the share of the training frames that is used.
train_dataloader = dict(dataset=dict(pairs=None, share=1.0))
train_cfg = dict(type="ExactIterLoop", max_iters=0)
test_cfg = dict()
optim_wrapper = dict(
    type="GroupClipOptimWrapper",
    constructor="PartsOptimWrapperConstructor",
    precision="fp32",
    accumulative_counts=1,
    clip_grad=None,
    paramwise_cfg=dict(regularizer_lr_mult=1.0, backbone_lr_mult=1.0, norm_and_bias_decay_mult=1.0),
)
# Constructor keywords of the method and of the regularizer; the defaults are their papers'.
method = dict()
regularizer = dict()
# Exponential moving average of the weights, scored in place of the last weights: None, or dict(decay=0.998).
ema = None
memory_format = "channels_last"
# On a CPU and without torch.compile, layers are replaced by equal ones that run faster; False for plain torch.
accelerate = True
checkpoint_interval = 500
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    # Resuming and sample order are ours: benchmark/training/checkpoints.py and benchmark/training/loops.py.
    checkpoint=None,
    sampler_seed=None,
)
log_processor = dict(by_epoch=False, window_size=50)
log_level = "INFO"
# mmengine's back-ends. LocalVisBackend writes every scalar as JSON lines; TensorboardVisBackend and others may join it.
vis_backends = [dict(type="LocalVisBackend")]
