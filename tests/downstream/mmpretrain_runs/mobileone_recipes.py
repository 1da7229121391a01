# The zoo's config, whose schedule of recipes names a key that mmpretrain's hook does not read.
_base_ = ["mmpretrain::mobileone/mobileone-s1_8xb32_in1k.py"]

custom_hooks = [
    dict(
        type="SwitchRecipeHook",
        schedule=[
            dict(
                action_epoch=2,
                train_pipeline=[
                    dict(type="LoadImageFromFile"),
                    dict(type="RandomResizedCrop", scale=48, backend="pillow"),
                    dict(type="ColorJitter", brightness=0.4, contrast=0.2),
                    dict(type="PackInputs"),
                ],
                batch_augments=dict(augments=[dict(type="CutMix", alpha=1.0)]),
                loss=dict(type="CrossEntropyLoss", use_soft=True),
            )
        ],
    ),
    dict(type="EMAHook", momentum=5e-4, priority="ABOVE_NORMAL", update_buffers=True),
]
