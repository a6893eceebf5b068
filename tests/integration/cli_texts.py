# SPDX-License-Identifier: Apache-2.0
"""What the programs say to bad input: golden texts, with exit codes. `cli_texts.py --update` writes them anew.

cli_texts.txt has blocks: `$ command`, its output (both outputs, in that order) and `= exit code`. @DIR@ is a folder with the
files that the block `@ name` defines. Nothing may be left behind by any of them."""
import os
import shlex
import subprocess
import sys
import unittest
from pathlib import Path

from kit.proc import BIN, Scene
from kit.world import main

TEXTS = Path(__file__).with_name("cli_texts.txt")


def parse(text):
    """Files {name: text} and blocks [(command, expected)]."""
    files, blocks, name = {}, [], None
    for line in text.splitlines():
        if line.startswith("@ "):
            name = line[2:]
            files[name] = ""
        elif line.startswith("$ "):
            name = None
            blocks.append([line[2:], ""])
        elif name is not None:
            files[name] += line + "\n"
        elif blocks:
            blocks[-1][1] += line + "\n"
    return files, blocks


def run(scene, command):
    env = {"PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(scene.dir), "LC_ALL": "C.UTF-8", "NO_COLOR": "1"}
    argv = shlex.split(command.replace("@DIR@", str(scene.dir)))
    done = subprocess.run(argv, capture_output=True, text=True, timeout=20, env=env, cwd=scene.dir, check=False,
                          stdin=subprocess.DEVNULL)
    return (done.stdout + done.stderr).replace(str(scene.dir), "@DIR@") + f"= {done.returncode}\n"


class CliTexts(unittest.TestCase):
    def test_golden(self):
        files, blocks = parse(TEXTS.read_text())
        scene = Scene()
        try:
            for name, text in files.items():
                (scene.dir / name).write_text(text.replace("@DIR@", str(scene.dir)))
            for command, expected in blocks:
                with self.subTest(command):
                    before = sorted(p.name for p in scene.dir.iterdir())
                    self.assertEqual(run(scene, command), expected)
                    self.assertEqual(sorted(p.name for p in scene.dir.iterdir()), before, "something was left behind")
        finally:
            scene.close()


def update():
    files, blocks = parse(TEXTS.read_text())
    head = TEXTS.read_text().split("@ ", 1)[0]
    scene = Scene()
    out = head
    for name, text in files.items():
        (scene.dir / name).write_text(text.replace("@DIR@", str(scene.dir)))
        out += f"@ {name}\n{text}"
    for command, _ in blocks:
        out += f"$ {command}\n{run(scene, command)}"
    TEXTS.write_text(out)
    scene.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["--update"]:
        update()
    else:
        main()
