"""What is in the wheel, and that it needs nothing beside its dependencies."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("avengers_core", "avengers_langchain", "avengers_llamaindex")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pip")
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode and "hatchling" in done.stderr:
        pytest.skip("the build backend could not be fetched")
    assert done.returncode == 0, done.stderr
    return next(folder.glob("*.whl"))


def test_it_holds_the_three_packages_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        assert {name.split("/")[0] for name in names if ".dist-info/" not in name} == set(PACKAGES)
        for package in PACKAGES:
            assert f"{package}/py.typed" in names
        for name in ("default", "zeroeval", "mmlupro"):
            assert f"avengers_core/pretrained/{name}.zip" in names
            assert f"avengers_core/pretrained/{name}.md" in names
        assert "avengers_core/evaluation/report.html" in names
        assert "avengers_core/ui/templates/base.html" in names
        assert "avengers_core/ui/static/LICENSE.uPlot.txt" in names
        assert {Path(name).name for name in names if "/licenses/" in name} == {"LICENSE", "NOTICE"}
        wanted = (".py", ".typed", ".zip", ".md", ".html", "/data/models.json", "/data/scores.json")
        strange = [
            name
            for name in names
            if ".dist-info/" not in name and not name.endswith(wanted) and "/ui/static/" not in name
        ]
        assert not strange
        assert sum(info.compress_size for info in archive.infolist()) < 2 << 20
        sources = {p.relative_to(ROOT / "shared") for p in (ROOT / "shared/avengers_core").rglob("*.py")}
        sources |= {p.relative_to(ROOT) for n in PACKAGES[1:] for p in (ROOT / n).rglob("*.py")}
        assert {Path(name) for name in names if name.endswith(".py")} == sources


def test_it_routes_where_only_it_is_on_the_path(wheel: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, 'site'); import avengers_core; "
        "assert avengers_core.__file__.startswith(sys.path[0]) or 'site' in avengers_core.__file__; "
        "print(avengers_core.Router.load().route('What is 2 + 2?').model); "
        "assert not {'langchain_core', 'llama_index', 'sklearn', 'sqlalchemy', 'pandas', 'dask'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()
