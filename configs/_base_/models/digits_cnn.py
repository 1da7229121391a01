model = dict(
    type="DigitsNet",
    channels=(16, 32, 64),
    num_classes=10,
    data_preprocessor=dict(type="ImgDataPreprocessor", mean=[4.88], std=[6.02]),
    init_cfg=[
        dict(type="Kaiming", layer="Conv2d"),
        dict(type="Constant", layer="BatchNorm2d", val=1),
        dict(type="Normal", layer="Linear", std=0.01),
    ],
)
