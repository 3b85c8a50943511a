from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from support import work
from support.campaigns import campaign_of
from support.networks import Mlp

from fault_injection.campaign import run_campaign
from fault_injection.cluster import DaskCluster
from fault_injection.local_workers import LocalWorkers
from fault_injection.parts import PartStore, Task
from fault_injection.shards import run_shards
from hls.errors import UsageError

pytest.importorskip("distributed")
ROOT = Path(__file__).parents[2]

CAMPAIGNS = """
import json, os, sys
from pathlib import Path
import pyarrow.parquet as pq
from distributed import LocalCluster
from support import work
from support.campaigns import campaign_of
from support.networks import Mlp
from fault_injection.campaign import run_campaign
from fault_injection.cluster import DaskCluster
from fault_injection.parts import PartStore, Task
from fault_injection.shards import run_shards
from hls.errors import EdgevalError

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    found = {}
    options = dict(threads_per_worker=1, dashboard_address=None)
    with LocalCluster(n_workers=2, **options) as cluster:
        place = DaskCluster(address=cluster.scheduler_address)
        campaign = campaign_of(Mlp(widths=(6, 5, 3)))
        found["faults"] = run_campaign(campaign, folder / "campaign", place=place, fingerprint="f").num_rows
        tasks = [Task(name=str(n), work=n) for n in range(8)]
        store = PartStore(folder=folder / "dies", fingerprint="f")
        results = run_shards(tasks, work.DiesOnce(5, str(folder / "told")), store, place=place)
        found["after a death"] = [row["number"].to_pylist() for row in results]
        store = PartStore(folder=folder / "refuses", fingerprint="f", kind="bytes")
        for name, function, cluster_place in (
            ("refusal", work.refuse, place),
            ("too many threads", work.text, DaskCluster(address=place.address, threads=10**6)),
        ):
            try:
                run_shards(tasks, function, store, place=cluster_place)
            except EdgevalError as error:
                found[name] = [type(error).__name__, str(error)]
        texts = PartStore(folder=folder / "texts", fingerprint="f", kind="bytes")
        found["blas"] = [x.decode() for x in run_shards(tasks[1:2], work.blas_threads, texts, place=place)]
    (folder / "found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def on_a_cluster(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    """What campaigns and tasks gave on a LocalCluster of two real worker processes."""
    folder = tmp_path_factory.mktemp("cluster")
    script = folder / "campaigns.py"
    script.write_text(CAMPAIGNS)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    command = [sys.executable, "-W", "ignore", str(script), str(folder)]
    subprocess.run(command, env=environment, check=True, timeout=300, capture_output=True)
    return folder, json.loads((folder / "found.json").read_text())


def test_a_cluster_gives_the_table_of_one_process_and_of_two_workers(
    on_a_cluster: tuple[Path, dict[str, object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fault_injection.cores.usable_cores", lambda: 4)
    folder, found = on_a_cluster
    campaign = campaign_of(Mlp(widths=(6, 5, 3)))
    assert found["faults"] == len(campaign.faults)
    here = run_campaign(campaign, tmp_path / "here", fingerprint="f")
    local = run_campaign(campaign, tmp_path / "local", fingerprint="f", place=LocalWorkers(workers=2))
    cluster = run_campaign(campaign, folder / "campaign", fingerprint="f")  # read back, digest-checked
    assert cluster.equals(here)
    assert local.equals(here)
    files = [path / "outcomes.parquet" for path in (folder / "campaign", tmp_path / "here", tmp_path / "local")]
    assert len({path.read_bytes() for path in files}) == 1


def test_a_cluster_worker_that_is_killed_loses_nothing(on_a_cluster: tuple[Path, dict[str, object]]) -> None:
    folder, found = on_a_cluster
    assert (folder / "told").exists()
    assert found["after a death"] == [[n] for n in range(8)]


def test_a_refusal_on_a_cluster_is_the_same_refusal_here(on_a_cluster: tuple[Path, dict[str, object]]) -> None:
    kind, message = on_a_cluster[1]["refusal"]  # type: ignore[misc]
    assert kind == "UsageError"
    assert "To mend it: ask for less" in message


def test_a_cluster_is_not_given_more_threads_than_its_machines_have_cores(
    on_a_cluster: tuple[Path, dict[str, object]],
) -> None:
    kind, message = on_a_cluster[1]["too many threads"]  # type: ignore[misc]
    assert kind == "UsageError"
    assert "worker threads × 1000000 kernel threads" in message


def test_blas_on_a_cluster_has_the_kernel_threads_asked_for(on_a_cluster: tuple[Path, dict[str, object]]) -> None:
    assert on_a_cluster[1]["blas"] == ["1"]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_an_address_without_a_scheduler_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("fault_injection.cluster.CONNECT_S", 1.0)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    store = PartStore(folder=tmp_path, fingerprint="f")
    with pytest.raises(UsageError, match=rf"no scheduler at {address}.*dask scheduler"):
        run_shards([Task(name="a", work=1)], work.square, store, place=DaskCluster(address=address))


def test_without_dask_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    store = PartStore(folder=tmp_path, fingerprint="f")
    with pytest.raises(UsageError, match=r"pip install 'edgeval-toolkit\[dask\]'"):
        run_shards([Task(name="a", work=1)], work.square, store, place=DaskCluster(address="tcp://127.0.0.1:1"))
