# The library's loops that gather features of all batches first, in training and in the test.
_base_ = "mmaction::_base_/default_runtime.py"

model = dict(type="TwoTowers")
loader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="Pairs"),
)
train_dataloader = loader
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="Pairs", test_mode=True),
)
test_dataloader = val_dataloader
val_evaluator = dict(type="RetrievalRecall", topk=(1, 2))
test_evaluator = val_evaluator
train_cfg = dict(type="EpochBasedTrainLoop", max_epochs=2, val_interval=1)
val_cfg = dict(type="RetrievalValLoop")
test_cfg = dict(type="RetrievalTestLoop")
optim_wrapper = dict(optimizer=dict(type="AdamW", lr=0.01))
param_scheduler = [dict(type="CosineAnnealingLR", T_max=2, by_epoch=True)]
randomness = dict(seed=3)
default_hooks = dict(
    logger=dict(interval=1),
    checkpoint=dict(save_best="i2t/retrieval/Recall@1", rule="greater"),
)
