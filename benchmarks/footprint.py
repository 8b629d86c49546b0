"""Installed size and import time, beside langchain-openai's and litellm's.

python benchmarks/footprint.py

Each is installed into a virtual environment of its own (from PyPI; this project from its folder). Size: site-packages,
without pip, setuptools and compiled files. Import: median of nine fresh processes, less an empty one's, taken in turns.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
INSTALLS = {
    "avengers-router (base)": (str(ROOT), "from avengers_core import Router"),
    "avengers-router[langchain] + langchain-openai": (
        f"{ROOT}[langchain] langchain-openai",
        "from avengers_langchain import ChatAvengers",
    ),
    "langchain-openai": ("langchain-openai", "from langchain_openai import ChatOpenAI"),
    "litellm": ("litellm", "from litellm import completion, Router"),
}


def size(site: Path) -> float:
    """MiB."""
    skipped = ("pip", "setuptools", "_distutils_hack", "__pycache__")
    files = (p for p in site.rglob("*") if p.is_file() and not any(one.startswith(skipped) for one in p.parts[-6:]))
    return sum(p.stat().st_size for p in files) / 2**20


def seconds(python: Path, code: str) -> float:
    start = time.perf_counter()
    subprocess.run([python, "-c", code], check=True, capture_output=True)
    return time.perf_counter() - start


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        pythons = {}
        for number, (name, (wanted, _)) in enumerate(INSTALLS.items()):
            home = Path(folder) / str(number)
            subprocess.run([sys.executable, "-m", "venv", home], check=True)
            pythons[name] = home / "bin" / "python"
            subprocess.run([pythons[name], "-m", "pip", "install", "-q", *wanted.split()], check=True)
        taken: dict[str, list[float]] = {name: [] for name in INSTALLS}
        for turn in range(10):
            for name, (_, code) in INSTALLS.items():
                one = seconds(pythons[name], code) - seconds(pythons[name], "pass")
                if turn:  # the first compiles
                    taken[name].append(one)
        print("| installed | packages | MiB | import, s |\n|---|---|---|---|")
        for name, python in pythons.items():
            site = next((python.parents[1] / "lib").glob("python*/site-packages"))
            packages = len(list(site.glob("*.dist-info"))) - 1
            print(f"| {name} | {packages} | {size(site):.0f} | {statistics.median(taken[name]):.2f} |")


if __name__ == "__main__":
    main()
