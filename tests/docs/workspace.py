"""A small copy of the repository in which the commands of the documentation take seconds."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.docs.markdown import Block, blocks
from tools import reference

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "examples/README.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
STUBS = ROOT / "tests/downstream/stubs"  # what this machine cannot have of torchvision
# Commands that set up the repository itself; other tests look at what they name.
SET_UP = ("make ", "pip install ")
# What a block's tag says of the exit status of its commands.
STATUS = {"findings": 1, "fails": 2}
# Fewer and smaller batches; epochs, and so the names of checkpoints, stay as they are.
SMALLER_DATA = """
train_dataloader["dataset"]["indices"] = 48
train_dataloader["batch_size"] = 16
val_dataloader["dataset"]["indices"] = 48
val_dataloader["batch_size"] = 16
"""


class Workspace:
    """Runs commands and programs as a reader would in the root of a clone.

    Args:
        folder: An empty folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("configs", "examples"):
            shutil.copytree(ROOT / name, folder / name)
        with (folder / "configs/_base_/datasets/digits.py").open("a") as config:
            config.write(SMALLER_DATA)
        self._commands = folder / ".bin"
        self._packages = folder / ".packages"
        self._commands.mkdir()
        self._packages.mkdir()
        (self._packages / "mm2pl").symlink_to(ROOT / "mm2pl")
        commands = {"python": "", "mm2pl": " -m mm2pl", "torchrun": " -m torch.distributed.run"}
        for name, command in commands.items():
            script = self._commands / name
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}"{command} "$@"\n')
            script.chmod(0o755)

    def execute(self, *command: str, beside: str = "") -> subprocess.CompletedProcess[str]:
        """Run a command.

        Args:
            *command: The command.
            beside: ``mmengine`` for the real MMEngine in the place of mm2pl, ``libraries`` for
                mmpretrain and its kin beside mm2pl.
        """
        if beside == "mmengine":
            environment = reference.environment()
        else:
            paths = [STUBS, reference.LIBRARIES] if beside == "libraries" else []
            path = os.pathsep.join(map(str, [*paths, self._packages]))
            environment = {**os.environ, "PYTHONPATH": path}
        environment["PATH"] = f"{self._commands}:{os.environ['PATH']}"
        environment.update(OMP_NUM_THREADS="1", CUDA_VISIBLE_DEVICES="", COLUMNS="100")
        return subprocess.run(
            command,
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, block: Block) -> str:
        """Run a block as its language and tags say, and return what it prints.

        Raises:
            AssertionError: Its exit status is another than the tags say.
        """
        beside = next((tag for tag in block.tags if tag in ("mmengine", "libraries")), "")
        if block.file_name:
            target = self.folder / block.file_name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(block.code)
            return ""
        if block.language == "python":
            programs = [["python", "-c", block.code]]
        else:
            wanted = [line for line in block.commands if not line.startswith(SET_UP)]
            programs = [["bash", "-c", line] for line in wanted]
        output = ""
        for program in programs:
            done = self.execute(*program, beside=beside)
            expected = next((STATUS[tag] for tag in block.tags if tag in STATUS), 0)
            assert done.returncode == expected, (
                f"exit status {done.returncode} instead of {expected} of:\n{program[-1]}\n"
                f"{done.stdout[-4000:]}"
            )
            output += done.stdout
        return output


class Ran:
    """A document whose blocks were run, one after the other in one workspace.

    Attributes:
        folder: The workspace.
        outputs: What each block that runs has printed, by its line.
        failure: What went wrong; later blocks were not run then.
    """

    def __init__(self, document: Path, folder: Path) -> None:
        self.folder = folder
        self.outputs: dict[int, str] = {}
        self.failure = ""
        workspace = Workspace(folder)
        for block in blocks(document):
            if block.language == "text":
                continue
            try:
                self.outputs[block.line] = workspace.run(block)
            except AssertionError as error:
                self.failure = f"{document.name}:{block.line}: {error}"
                return
