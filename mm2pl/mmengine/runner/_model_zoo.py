"""The model zoos' short names: what ``mmcls://resnet50`` and the like stand for.

Nothing installed knows the addresses of OpenMMLab's files; torchvision knows its own.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from mm2pl.errors import MissingPackageError
from mm2pl.mmengine.fileio import load
from mm2pl.mmengine.utils import mkdir_or_exist

ENV_MMENGINE_HOME = "MMENGINE_HOME"
ENV_XDG_CACHE_HOME = "XDG_CACHE_HOME"
DEFAULT_CACHE_DIR = "~/.cache"

# Each line is a name and the path of its file below the base, without ".pth".
_OPENMMLAB_BASE = "https://download.openmmlab.com"
_OPENMMLAB = """
vgg16_caffe pretrain/third_party/vgg16_caffe-292e1171
detectron/resnet50_caffe pretrain/third_party/resnet50_caffe-788b5fa3
detectron2/resnet50_caffe pretrain/third_party/resnet50_msra-5891d200
detectron/resnet101_caffe pretrain/third_party/resnet101_caffe-3ad79236
detectron2/resnet101_caffe pretrain/third_party/resnet101_msra-6cc46731
detectron2/resnext101_32x8d pretrain/third_party/resnext101_32x8d-1516f1aa
resnext50_32x4d pretrain/third_party/resnext50-32x4d-0ab1a123
resnext101_32x4d pretrain/third_party/resnext101_32x4d-a5af3160
resnext101_64x4d pretrain/third_party/resnext101_64x4d-ee2c6f71
contrib/resnet50_gn pretrain/third_party/resnet50_gn_thangvubk-ad1730dd
detectron/resnet50_gn pretrain/third_party/resnet50_gn-9186a21c
detectron/resnet101_gn pretrain/third_party/resnet101_gn-cac0ab98
jhu/resnet50_gn_ws pretrain/third_party/resnet50_gn_ws-15beedd8
jhu/resnet101_gn_ws pretrain/third_party/resnet101_gn_ws-3e3c308c
jhu/resnext50_32x4d_gn_ws pretrain/third_party/resnext50_32x4d_gn_ws-0d87ac85
jhu/resnext101_32x4d_gn_ws pretrain/third_party/resnext101_32x4d_gn_ws-34ac1a9e
jhu/resnext50_32x4d_gn pretrain/third_party/resnext50_32x4d_gn-c7e8b754
jhu/resnext101_32x4d_gn pretrain/third_party/resnext101_32x4d_gn-ac3bb84e
msra/hrnetv2_w18_small pretrain/third_party/hrnetv2_w18_small-b5a04e21
msra/hrnetv2_w18 pretrain/third_party/hrnetv2_w18-00eb2006
msra/hrnetv2_w32 pretrain/third_party/hrnetv2_w32-dc9eeb4f
msra/hrnetv2_w40 pretrain/third_party/hrnetv2_w40-ed0b031c
msra/hrnetv2_w48 pretrain/third_party/hrnetv2_w48-d2186c55
bninception_caffe pretrain/third_party/bn_inception_caffe-ed2e8665
kin400/i3d_r50_f32s2_k400 pretrain/third_party/i3d_r50_f32s2_k400-2c57e077
kin400/nl3d_r50_f32s2_k400 pretrain/third_party/nl3d_r50_f32s2_k400-fa7e7caa
res2net101_v1d_26w_4s pretrain/third_party/res2net101_v1d_26w_4s_mmdetv2-f0a600f9
regnetx_400mf pretrain/third_party/regnetx_400mf-a5b10d96
regnetx_800mf pretrain/third_party/regnetx_800mf-1f4be4c7
regnetx_1.6gf pretrain/third_party/regnetx_1.6gf-5791c176
regnetx_3.2gf pretrain/third_party/regnetx_3.2gf-c2599b0f
regnetx_4.0gf pretrain/third_party/regnetx_4.0gf-a88f671e
regnetx_6.4gf pretrain/third_party/regnetx_6.4gf-006af45d
regnetx_8.0gf pretrain/third_party/regnetx_8.0gf-3c68abe7
regnetx_12gf pretrain/third_party/regnetx_12gf-4c2a3350
resnet18_v1c pretrain/third_party/resnet18_v1c-b5776b93
resnet50_v1c pretrain/third_party/resnet50_v1c-2cccc1ad
resnet101_v1c pretrain/third_party/resnet101_v1c-e67eebb6
mmedit/vgg16 mmediting/third_party/vgg_state_dict
mmedit/res34_en_nomixup mmediting/third_party/model_best_resnet34_En_nomixup
mmedit/mobilenet_v2 mmediting/third_party/mobilenet_v2
contrib/mobilenet_v3_large pretrain/third_party/mobilenet_v3_large-bc2c3fd3
contrib/mobilenet_v3_small pretrain/third_party/mobilenet_v3_small-47085aa1
resnest50 pretrain/third_party/resnest50_d2-7497a55b
resnest101 pretrain/third_party/resnest101_d2-f3b931b2
resnest200 pretrain/third_party/resnest200_d2-ca88e41f
darknet53 pretrain/third_party/darknet53-a628ea1b
mmdet/mobilenet_v2 mmdetection/v2.0/third_party/mobilenet_v2_batch256_imagenet-ff34753d
"""
_MMCLS_BASE = f"{_OPENMMLAB_BASE}/mmclassification/v0"
_MMCLS = """
vgg11 vgg/vgg11_batch256_imagenet_20210208-4271cd6c
vgg13 vgg/vgg13_batch256_imagenet_20210208-4d1d6080
vgg16 vgg/vgg16_batch256_imagenet_20210208-db26f1a5
vgg19 vgg/vgg19_batch256_imagenet_20210208-e6920e4a
vgg11_bn vgg/vgg11_bn_batch256_imagenet_20210207-f244902c
vgg13_bn vgg/vgg13_bn_batch256_imagenet_20210207-1a8b7864
vgg16_bn vgg/vgg16_bn_batch256_imagenet_20210208-7e55cd29
vgg19_bn vgg/vgg19_bn_batch256_imagenet_20210208-da620c4f
resnet18 resnet/resnet18_8xb32_in1k_20210831-fbbb1da6
resnet34 resnet/resnet34_8xb32_in1k_20210831-f257d4e6
resnet50 resnet/resnet50_8xb32_in1k_20210831-ea4938fc
resnet101 resnet/resnet101_8xb32_in1k_20210831-539c63f8
resnet152 resnet/resnet152_8xb32_in1k_20210901-4d7582fa
resnet50_v1d resnet/resnetv1d50_b32x8_imagenet_20210531-db14775a
resnet101_v1d resnet/resnetv1d101_b32x8_imagenet_20210531-6e13bcd3
resnet152_v1d resnet/resnetv1d152_b32x8_imagenet_20210531-278cf22a
resnext50_32x4d resnext/resnext50_32x4d_b32x8_imagenet_20210429-56066e27
resnext101_32x4d resnext/resnext101_32x4d_b32x8_imagenet_20210506-e0fa3dd5
resnext101_32x8d resnext/resnext101_32x8d_b32x8_imagenet_20210506-23a247d5
resnext152_32x4d resnext/resnext152_32x4d_b32x8_imagenet_20210524-927787be
se-resnet50 se-resnet/se-resnet50_batch256_imagenet_20200804-ae206104
se-resnet101 se-resnet/se-resnet101_batch256_imagenet_20200804-ba5b51d4
resnest50 resnest/resnest50_imagenet_converted-1ebf0afe
resnest101 resnest/resnest101_imagenet_converted-032caa52
resnest200 resnest/resnest200_imagenet_converted-581a60f2
resnest269 resnest/resnest269_imagenet_converted-59930960
shufflenet_v1 shufflenet_v1/shufflenet_v1_batch1024_imagenet_20200804-5d6cec73
shufflenet_v2 shufflenet_v2/shufflenet_v2_batch1024_imagenet_20200812-5bf4721e
mobilenet_v2 mobilenet_v2/mobilenet_v2_batch256_imagenet_20200708-3b2dc3af
mobilenet_v3_small mobilenet_v3/convert/mobilenet_v3_small-8427ecf0
mobilenet_v3_large mobilenet_v3/convert/mobilenet_v3_large-3ea3c186
repvgg_A0 repvgg/repvgg-A0_3rdparty_4xb64-coslr-120e_in1k_20210909-883ab98c
repvgg_A1 repvgg/repvgg-A1_3rdparty_4xb64-coslr-120e_in1k_20210909-24003a24
repvgg_A2 repvgg/repvgg-A2_3rdparty_4xb64-coslr-120e_in1k_20210909-97d7695a
repvgg_B0 repvgg/repvgg-B0_3rdparty_4xb64-coslr-120e_in1k_20210909-446375f4
repvgg_B1 repvgg/repvgg-B1_3rdparty_4xb64-coslr-120e_in1k_20210909-750cdf67
repvgg_B1g2 repvgg/repvgg-B1g2_3rdparty_4xb64-coslr-120e_in1k_20210909-344f6422
repvgg_B1g4 repvgg/repvgg-B1g4_3rdparty_4xb64-coslr-120e_in1k_20210909-d4c1a642
repvgg_B2 repvgg/repvgg-B2_3rdparty_4xb64-coslr-120e_in1k_20210909-bd6b937c
repvgg_B2g4 repvgg/repvgg-B2g4_3rdparty_4xb64-autoaug-lbs-mixup-coslr-200e_in1k_20210909-7b7955f0
repvgg_B3 repvgg/repvgg-B3_3rdparty_4xb64-autoaug-lbs-mixup-coslr-200e_in1k_20210909-dda968bf
repvgg_B3g4 repvgg/repvgg-B3g4_3rdparty_4xb64-autoaug-lbs-mixup-coslr-200e_in1k_20210909-4e54846a
repvgg_D2se repvgg/repvgg-D2se_3rdparty_4xb64-autoaug-lbs-mixup-coslr-200e_in1k_20210909-cf3139b7
res2net101_w26 res2net/res2net101-w26-s4_3rdparty_8xb32_in1k_20210927-870b6c36
res2net50_w14 res2net/res2net50-w14-s8_3rdparty_8xb32_in1k_20210927-bc967bf1
res2net50_w26 res2net/res2net50-w26-s8_3rdparty_8xb32_in1k_20210927-f547a94b
swin_tiny swin-transformer/swin_tiny_224_b16x64_300e_imagenet_20210616_090925-66df6be6
swin_small swin-transformer/swin_small_224_b16x64_300e_imagenet_20210615_110219-7f9d988b
swin_base swin-transformer/convert/swin_base_patch4_window7_224_22kto1k-f967f799
swin_large swin-transformer/convert/swin_large_patch4_window7_224_22kto1k-5f0996db
t2t_vit_t_14 t2t-vit/t2t-vit-t-14_3rdparty_8xb64_in1k_20210928-b7c09b62
t2t_vit_t_19 t2t-vit/t2t-vit-t-19_3rdparty_8xb64_in1k_20210928-7f1478d5
t2t_vit_t_24 t2t-vit/t2t-vit-t-24_3rdparty_8xb64_in1k_20210928-fe95a61b
tnt_small tnt/tnt-small-p16_3rdparty_in1k_20210903-c56ee7df
vit_base_p16 vit/finetune/vit-base-p16_in21k-pre-3rdparty_ft-64xb64_in1k-384_20210928-98e8652b
vit_base_p32 vit/finetune/vit-base-p32_in21k-pre-3rdparty_ft-64xb64_in1k-384_20210928-9cea8599
vit_large_p16 vit/finetune/vit-large-p16_in21k-pre-3rdparty_ft-64xb64_in1k-384_20210928-b20ba619
"""
_DEPRECATED = {
    "resnet50_caffe": "detectron/resnet50_caffe",
    "resnet50_caffe_bgr": "detectron2/resnet50_caffe_bgr",
    "resnet101_caffe": "detectron/resnet101_caffe",
    "resnet101_caffe_bgr": "detectron2/resnet101_caffe_bgr",
}
# Names of torchvision 0.12 that have another file, or none of that name, in newer ones.
_TORCHVISION_BASE = "https://download.pytorch.org/models"
_TORCHVISION = """
efficientnet_b0 efficientnet_b0_rwightman-3dd342df
efficientnet_b1 efficientnet_b1_rwightman-533bc792
efficientnet_b2 efficientnet_b2_rwightman-bcdf34b7
efficientnet_b3 efficientnet_b3_rwightman-cf984f9c
efficientnet_b4 efficientnet_b4_rwightman-7eb33cd5
efficientnet_b5 efficientnet_b5_lukemelas-b6417697
efficientnet_b6 efficientnet_b6_lukemelas-c76e70fd
efficientnet_b7 efficientnet_b7_lukemelas-dcc49843
inception_v3_google inception_v3_google-0cc3c7bd
shufflenetv2_x0.5 shufflenetv2_x0.5-f707e7126e
shufflenetv2_x1.0 shufflenetv2_x1-5666bf0f80
"""
# It listed these two without a file.
_TORCHVISION_WITHOUT_FILE = ("shufflenetv2_x1.5", "shufflenetv2_x2.0")


def get_external_models() -> dict[str, str]:
    """Return the addresses of ``open-mmlab://`` names.

    Those in ``open_mmlab.json`` in MMEngine's home (:func:`_get_mmengine_home`) are added, or
    replace others; they may be paths in that folder.
    """
    models = _table(_OPENMMLAB, _OPENMMLAB_BASE)
    own = os.path.join(_get_mmengine_home(), "open_mmlab.json")
    if os.path.exists(own):
        models.update(load(own))
    return models


def get_mmcls_models() -> dict[str, str]:
    """Return the addresses of ``mmcls://`` names."""
    return _table(_MMCLS, _MMCLS_BASE)


def get_deprecated_model_names() -> dict[str, str]:
    """Return old ``open-mmlab://`` names and what they are called now."""
    return dict(_DEPRECATED)


def get_torchvision_models() -> dict[str, str | None]:
    """Return the addresses of ``torchvision://`` names, of the models that classify images.

    A model has a name for each of its weights (``resnet50.imagenet1k_v2``), one for the best
    (``resnet50.default``), and its own (``resnet50``) for the first. Differs: MMEngine knows models
    that came after torchvision 0.12 by the longer names only.

    Raises:
        ImportError: torchvision is not installed.
    """
    try:
        models: Any = import_module("torchvision.models")
    except ModuleNotFoundError as error:
        raise MissingPackageError(
            f"the addresses of torchvision:// models come from torchvision: {error}",
            hint="pip install torchvision, or give the checkpoint's path or https:// address",
        ) from error
    found: dict[str, Any] = {}
    for model in models.list_models(models):
        kind = models.get_model_weights(model)
        name = kind.__name__.removesuffix("_Weights").lower()
        weights = {f"{name}.{one.name.lower()}": one.url for one in kind}
        if weights:  # some models come without
            found |= weights | {
                f"{name}.default": kind.DEFAULT.url,
                model: weights.get(f"{name}.imagenet1k_v1", next(iter(weights.values()))),
            }
    found |= _table(_TORCHVISION, _TORCHVISION_BASE)
    return found | dict.fromkeys(_TORCHVISION_WITHOUT_FILE)


def _table(lines: str, base: str) -> dict[str, str]:
    rows = map(str.split, lines.strip().splitlines())
    return {name: f"{base}/{path}.pth" for name, path in rows}


def _get_mmengine_home() -> str:
    """Return MMEngine's folder for own models: ``MMENGINE_HOME``, or one in the user's cache."""
    cache = os.getenv(ENV_XDG_CACHE_HOME, DEFAULT_CACHE_DIR)
    home = os.path.expanduser(os.getenv(ENV_MMENGINE_HOME, os.path.join(cache, "mmengine")))
    mkdir_or_exist(home)
    return home
