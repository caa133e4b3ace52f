"""GPUs are counted without a GPU library; each gets one process, and Spark is asked for one for each task."""

import importlib.util
import os

import pytest

from mdfs import devices, engine, pool
from mdfs.errors import UsageError
from mdfs.ledger import Row
from mdfs.pool import Pool
from mdfs.progress import Bar, Progress
from mdfs.recipe import load
from mdfs.stage import Job, Unit
from mdfs.storage import Store


@pytest.fixture
def torch_there(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.delenv(devices.DEVICE_VARIABLE, raising=False)


@pytest.mark.parametrize(("said", "count"), [("0,1", 2), ("3", 1), ("", 0), ("-1", 0), ("GPU-8f2a,GPU-77b1", 2)])
def test_visible_gpus_are_counted(torch_there, monkeypatch, said, count):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", said)
    assert devices.gpus() == count
    monkeypatch.setenv(devices.DEVICE_VARIABLE, "cpu")
    assert devices.gpus() == 0


def test_without_torch_there_is_none(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    assert devices.gpus() == 0


def which(job, unit):
    """Work: leave the device that the process was told, and its number."""
    if unit.data.get("die") and not job.store.exists("died"):
        job.store.write_bytes("died", b"")
        os._exit(3)
    said = f"{os.environ.get(devices.DEVICE_VARIABLE)} {os.getpid()} {os.environ['RAYON_NUM_THREADS']}"
    job.store.write_bytes(f"said/{unit.id}", said.encode())
    return Row(job.stage, unit.id)


def told(folder, gpu, **data):
    store = Store(str(folder))
    job = Job("classify", store, load("plain"))
    made = engine.create("local", workers=3)
    bar = Bar(Progress(quiet=True), "classify", 0, 8, 0)
    try:
        list(made.map(which, job, [Unit(f"u{i}", data) for i in range(8)], isolated=False, gpu=gpu, bar=bar))
    finally:
        made.close()
    return [store.read_bytes(path).decode().split() for path in store.list("said")]


def test_each_gpu_has_one_process_and_the_cores_are_shared_out(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: 2)
    monkeypatch.setattr(engine, "available_cores", lambda: 8)
    found = told(tmp_path, True)
    assert {device for device, *_ in found} == {"cuda:0", "cuda:1"}
    assert len({(device, pid) for device, pid, _ in found}) == 2
    assert {cores for *_, cores in found} == {"4"}


def test_units_that_want_no_gpu_are_told_of_none(tmp_path, monkeypatch):
    monkeypatch.setattr(devices, "gpus", lambda: 2)
    monkeypatch.delenv(devices.DEVICE_VARIABLE, raising=False)
    assert {tuple(said[::2]) for said in told(tmp_path, False)} == {("None", "1")}


def test_who_takes_a_dead_workers_place_takes_its_gpu(tmp_path):
    store = Store(str(tmp_path))
    job = Job("classify", store, load("plain"))
    workers = Pool(1, [devices.environment(5, 2)])
    try:
        list(workers.map(which, job, [Unit("a", {"die": True})]))
    finally:
        workers.close()
    assert store.exists("died")
    assert store.read_bytes("said/a").decode().startswith("cuda:5 ")
    assert pool.Pool(1)._environments == ()


def settings(**said):
    return lambda name, default: said.get(name.replace(".", "_"), default)


def test_spark_is_asked_for_gpus_only_where_the_cluster_says_it_has_some():
    assert engine.gpu_profile(settings()) is None
    static = engine.gpu_profile(settings(spark_mdfs_gpus="1"))
    assert {name: asked.amount for name, asked in static.taskResources.items()} == {"cpus": 1.0, "gpu": 1.0}
    assert not static.executorResources, "without dynamic allocation Spark takes no executors of another shape"


def test_with_dynamic_allocation_executors_of_that_shape_are_asked_for():
    said = settings(
        spark_mdfs_gpus="2",
        spark_dynamicAllocation_enabled="true",
        spark_mdfs_gpu_cores="16",
        spark_mdfs_gpu_memory="64g",
        spark_mdfs_gpu_discoveryScript="/opt/gpus.sh",
    )
    asked = engine.gpu_profile(said).executorResources
    assert (asked["gpu"].amount, asked["gpu"].discoveryScript) == (2, "/opt/gpus.sh")
    assert (asked["cores"].amount, asked["memory"].amount) == (16, 65536)


def test_a_setting_that_is_no_number_is_refused():
    with pytest.raises(UsageError, match=r"spark\.mdfs\.gpus='many'"):
        engine.gpu_profile(settings(spark_mdfs_gpus="many"))
