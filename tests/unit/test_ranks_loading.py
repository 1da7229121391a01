"""Two processes, of which only one sees the checkpoint, end with errors, and do not wait."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import os, sys
from pathlib import Path
from mm2pl.runner import Runner
from tests.unit.test_runner import config

folder, rank = Path(sys.argv[1]), os.environ["RANK"]
group = {"launcher": "pytorch", "env_cfg": {"dist_cfg": {"backend": "gloo"}}}
source = {"load_from": f"{folder}/{rank}/epoch_1.pth", "resume": True}
Runner.from_cfg(config(folder / "again", **group, **source)).train()
"""
WHOLE = """
import sys
from pathlib import Path
from mm2pl.runner import Runner
from tests.unit.test_runner import config

epochs = {"by_epoch": True, "max_epochs": 1}
Runner.from_cfg(config(Path(sys.argv[1], "0"), train_cfg=epochs)).train()
"""


@pytest.mark.slow
def test_where_one_machine_has_no_such_file_all_end_with_an_error(tmp_path: Path) -> None:
    variables = {**os.environ, "OMP_NUM_THREADS": "1"}
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c"]
    subprocess.run([*command, WHOLE, str(tmp_path)], env=variables, cwd=root, check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    variables |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": "2"}
    ranks = [
        subprocess.Popen(
            [*command, PROGRAM, str(tmp_path)],
            env={**variables, "RANK": rank, "LOCAL_RANK": rank},
            cwd=root,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for rank in "01"
    ]
    first, second = (rank.communicate(timeout=90)[0] for rank in ranks)
    assert [rank.returncode for rank in ranks] == [1, 1]
    assert "process 1 of 2 could not go on from the checkpoint: CheckpointNotFound" in first, first
    assert "CheckpointNotFoundError" in second
    assert "process 1 of 2" not in second
