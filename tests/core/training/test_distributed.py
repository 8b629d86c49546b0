"""Training on a real Dask cluster of worker processes: the same artifact, also when a worker is killed."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from avengers_core import RecordError, RouterEstimator, load_artifact
from avengers_core.routing.manifest import Artifact

from tests.support.records import make_records, plain, write_jsonl

distributed = pytest.importorskip("distributed")


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        yield cluster


@pytest.fixture
def client(cluster: Any) -> Iterator[Any]:
    with distributed.Client(cluster) as client:
        yield client


def assert_same(one: Artifact, other: Artifact, tolerance: float = 1e-5) -> None:
    assert one.manifest.models == other.manifest.models
    assert one.manifest.datasets == other.manifest.datasets
    assert one.manifest.n_records == other.manifest.n_records
    np.testing.assert_allclose(one.centers, other.centers, atol=tolerance)
    for name in vars(one.statistics):
        np.testing.assert_allclose(getattr(one.statistics, name), getattr(other.statistics, name), rtol=tolerance)
    for name, values in one.arrays.items():
        np.testing.assert_allclose(values, other.arrays[name], atol=100 * tolerance)
    for name in ("typical_cost", "characters_per_token", "ood_threshold"):
        assert getattr(one.manifest, name) == pytest.approx(getattr(other.manifest, name), rel=1e-4)


def write_parquet(path: Path, rows: list[dict[str, Any]], as_text: bool) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if as_text:
        rows = [{**row, "records": json.dumps(row["records"]), "usages": json.dumps(row["usages"])} for row in rows]
    pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=20)


def test_partitions_of_all_formats_train_as_one_machine_does(client: Any, tmp_path: Path) -> None:
    from avengers_core.training.distributed import fit_on_cluster

    records = make_records(300)
    folder = tmp_path / "records"
    folder.mkdir()
    write_jsonl(folder / "a.jsonl", map(plain, records[:100]))
    with gzip.open(folder / "b.jsonl.gz", "wt") as file:
        file.writelines(json.dumps(plain(record)) + "\n" for record in records[100:150])
    write_parquet(folder / "c.parquet", [*map(plain, records[150:220])], as_text=False)
    write_parquet(folder / "d.parquet", [*map(plain, records[220:])], as_text=True)
    options: dict[str, Any] = {"n_clusters": 6, "exclude_models": ["mid"], "exclude_datasets": ["verse"]}
    steps: list[str] = []
    estimator = RouterEstimator(**options, progress=lambda step, done, total: steps.append(f"{step} {done}/{total}"))
    fit_on_cluster(estimator, folder, client, partition_bytes=3000, partition_rows=20)
    alone = RouterEstimator(**options).fit(records)
    assert_same(estimator.artifact_, alone.artifact_)
    partitions = int(steps[0].rpartition("/")[2])
    assert partitions > 12
    assert f"read and embed partitions {partitions}/{partitions}" in steps


@pytest.mark.slow
def test_partitions_have_the_sources_and_agent_runs_of_the_whole(client: Any, tmp_path: Path) -> None:
    from avengers_core import load_records
    from avengers_core.training.distributed import fit_on_cluster

    class Seen(RouterEstimator):
        def fit_partitions(self, partitions: Any, *more: Any) -> RouterEstimator:
            self.tables = partitions.map(lambda table: table)
            return super().fit_partitions(partitions, *more)

    rows = [plain(record) for record in make_records(120)]
    for number, row in enumerate(rows):
        if number >= 40:
            row["source"] = "judge" if number % 2 else "tests"
            row["usages"]["big"]["kind"] = "agent_run"
    folder = tmp_path / "records"
    folder.mkdir()
    write_jsonl(folder / "a.jsonl", rows[:60])
    write_parquet(folder / "b.parquet", rows[60:90], as_text=False)
    write_parquet(folder / "c.parquet", rows[90:], as_text=True)
    estimator = Seen(4, exclude_models=["mid"], exclude_datasets=["verse"])
    fit_on_cluster(estimator, folder, client, partition_bytes=3000, partition_rows=20)
    whole = load_records(write_jsonl(tmp_path / "all.jsonl", rows)).without(["mid"], ["verse"])
    assert len(estimator.tables) > 5
    assert all(table.sources == whole.sources == ["code", "judge", "sums", "tests"] for table in estimator.tables)
    for name in ("source", "agent_run", "texts"):
        parts = [getattr(table, name) for table in estimator.tables]
        np.testing.assert_array_equal(np.concatenate(parts), getattr(whole, name), err_msg=name)


@pytest.mark.slow
def test_real_records_by_the_command_line(cluster: Any, data_folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "mmlu.jsonl"
    source.write_bytes(gzip.decompress((data_folder / "mmlupro.train.jsonl.gz").read_bytes()))
    command = [sys.executable, "-m", "avengers_core.cli", "train", str(source), "--json"]
    for name, more in (("alone", []), ("cluster", ["--scheduler", cluster.scheduler_address])):
        done = subprocess.run(
            [*command, "-o", str(tmp_path / f"{name}.zip"), *more], capture_output=True, text=True, timeout=300
        )
        assert done.returncode == 0, done.stderr
    assert_same(load_artifact(tmp_path / "alone.zip"), load_artifact(tmp_path / "cluster.zip"), 1e-4)


@pytest.mark.slow
def test_more_records_than_the_sample_take_the_same_steps(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from avengers_core.training import clustering
    from avengers_core.training.distributed import fit_on_cluster

    monkeypatch.setattr(clustering, "SAMPLE_PER_CLUSTER", 12)
    records = make_records(400)
    source = write_jsonl(tmp_path / "r.jsonl", map(plain, records))
    there = fit_on_cluster(RouterEstimator(5), source, client, partition_bytes=10_000)
    here = RouterEstimator(5).fit(records)
    assert_same(there.artifact_, here.artifact_)
    sampled_only = clustering.nearest(here.artifact_.centers, here.artifact_.centers)
    assert sampled_only.tolist() == list(range(5))


@pytest.mark.slow
def test_a_killed_worker_is_survived(tmp_path: Path) -> None:
    """A worker dies after it has read its partitions: they are read again, and the artifact is the same."""
    from avengers_core.training.distributed import fit_on_cluster

    records = make_records(400)
    source = write_jsonl(tmp_path / "r.jsonl", map(plain, records))
    alone = RouterEstimator(6).fit(records)
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        killed: list[int] = []

        def progress(step: str, done: int, total: int) -> None:
            if step == "cluster" and not killed:  # all is read and embedded
                pids = client.run(os.getpid)
                killed.append(next(iter(pids.values())))
                os.kill(killed[0], signal.SIGKILL)

        estimator = fit_on_cluster(RouterEstimator(6, progress=progress), source, client, partition_bytes=10_000)
        assert killed
        assert_same(estimator.artifact_, alone.artifact_)
        deadline = time.monotonic() + 30
        while killed[0] in (pids := client.run(os.getpid).values()) or len(pids) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.2)


@pytest.mark.slow
def test_faults_name_the_file_and_the_line(client: Any, tmp_path: Path) -> None:
    from avengers_core.training.distributed import connect, fit_on_cluster

    path = write_jsonl(tmp_path / "r.jsonl", map(plain, make_records(120)))
    lines = path.read_text().splitlines()
    lines[86] = lines[86].replace('"dataset"', '"dataser"')
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(RecordError, match=r"r\.jsonl:87: .*dataset"):
        fit_on_cluster(RouterEstimator(3), path, client, partition_bytes=4000)
    path.write_text("\n".join([*lines[:60], "", *[" " * 4000] * 4, *lines[60:86], lines[7]]) + "\n")
    with pytest.raises(RecordError, match=r"field 'index': .* already stands at .*r\.jsonl:8;"):
        fit_on_cluster(RouterEstimator(3), path, client, partition_bytes=4000)
    good = write_jsonl(tmp_path / "g.jsonl", map(plain, make_records(30)))
    for options, message in (
        ({"train_ratio": 0.5}, "train_ratio must be 1"),
        ({"embedder": object()}, "embedder must be a name"),
        ({"exclude_models": ["none"]}, "cannot exclude model 'none'"),
        ({"exclude_datasets": ["sums", "verse", "code"]}, "no record is left"),
    ):
        with pytest.raises(ValueError, match=message):
            fit_on_cluster(RouterEstimator(3, **options), good, client)
    with pytest.raises(RecordError, match="no such file"):
        fit_on_cluster(RouterEstimator(3), tmp_path / "none", client)
    assert threading.active_count() < 200
    with pytest.raises(ValueError, match="no Dask scheduler"):
        connect("tcp://127.0.0.1:9")


def test_a_file_without_records_is_an_error(client: Any, tmp_path: Path) -> None:
    from avengers_core.training.distributed import fit_on_cluster

    write_jsonl(tmp_path / "r.jsonl", map(plain, make_records(60)))
    for name, text in (("none.jsonl", ""), ("blank.jsonl", "\n\n")):
        (tmp_path / name).write_text(text)
        with pytest.raises(RecordError, match=rf"{name}: the file has no records"):
            fit_on_cluster(RouterEstimator(3), tmp_path, client)
        (tmp_path / name).unlink()
