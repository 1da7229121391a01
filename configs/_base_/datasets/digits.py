# scikit-learn's handwritten digits: 1,797 grey images of 8x8 pixels with values from 0 to 16.
train_pipeline = [
    dict(type="RandomShift", max_shift=1),
    dict(type="PackDigits"),
]
test_pipeline = [dict(type="PackDigits")]

train_dataloader = dict(
    batch_size=64,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=True),
    dataset=dict(type="Digits", pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=180,
    num_workers=0,
    sampler=dict(type="DefaultSampler", shuffle=False),
    dataset=dict(type="Digits", test_mode=True, pipeline=test_pipeline),
)
val_evaluator = dict(type="Accuracy")

test_dataloader = val_dataloader
test_evaluator = val_evaluator
