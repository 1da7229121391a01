"""What OpenMMLab's tools/train.py comes to: trains by a config with MMEngine.

python -m examples.train_config_mmengine CONFIG [--work-dir DIR] [--resume FILE] ...
"""

import argparse

from mmengine.config import Config, DictAction
from mmengine.runner import Runner


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("config")
    parser.add_argument("--work-dir", default="work_dirs/mmengine")
    parser.add_argument("--resume", metavar="FILE")
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, default={})
    args = parser.parse_args()
    cfg = Config.fromfile(args.config)
    cfg.merge_from_dict(args.cfg_options)
    cfg.work_dir = args.work_dir
    if args.resume:
        cfg.load_from, cfg.resume = args.resume, True
    Runner.from_cfg(cfg).train()


if __name__ == "__main__":
    main()
