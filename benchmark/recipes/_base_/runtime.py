"""Settings shared by all recipes: logging, visualisation back-ends, loops, construction of the optimizer.

A recipe may also set `compile = True`, or `compile = dict(mode=...)` with keywords of `torch.compile`. The method is
then compiled in training and evaluation, with the same weights under the same names.
"""

# Folder of the data: a name below MTL_DATA, or an absolute path; None if the folder has the name of the data set.
root = None
# pairs: pairs of posed views that are added to the training split, for regularizers on two views; the name of a data
# set, or its name, root and gap, see `datasets.loading.pairs`.
# share: share of the training frames that is used.
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
# Exponential moving average of the weights, evaluated in place of the last weights: None, or dict(decay=0.998).
ema = None
memory_format = "channels_last"
# On a CPU and without torch.compile, replace layers by equal, faster ones; False for plain torch.
accelerate = True
checkpoint_interval = 500
default_hooks = dict(
    timer=dict(type="IterTimerHook"),
    logger=dict(type="LoggerHook", interval=50, log_metric_by_epoch=False),
    param_scheduler=dict(type="ParamSchedulerHook"),
    # benchmark/training/checkpoints.py saves and resumes, in place of mmengine's checkpoints.
    checkpoint=None,
    sampler_seed=None,
)
log_processor = dict(by_epoch=False, window_size=50)
log_level = "INFO"
# mmengine's back-ends. LocalVisBackend writes every scalar as JSON lines; add others such as TensorboardVisBackend.
vis_backends = [dict(type="LocalVisBackend")]
