"""A sweep does each job once, whatever happens: it goes on where it was killed, what is wrong becomes a row, nothing is lost."""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.util import find_spec
from multiprocessing.process import BaseProcess
from pathlib import Path

import psutil
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hand.errors import UserError
from runtime.networks.weights import DEFAULT_WEIGHTS
from tests.paths import ROOT
from tools.sweep.command import Settings, jobs_of, main, sweep
from tools.sweep.jobs import ClipsJob, Job, PairJob, Row, row_of, run_job
from tools.sweep.pool import ATTEMPTS, run_jobs
from tools.sweep.rows import Rows
from tools.sweep.table import draw_table, table_of

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install '.[sweep]'")


def lost(number: int) -> ClipsJob:
    """A recording that is not there: its row comes quickly."""
    return ClipsJob(left=f"left{number}.mp4", right=f"right{number}.mp4", labels="both", epochs=1, seed=0)


def listed(folder: Path, count: int) -> Path:
    file = folder / "recordings.txt"
    lines = [f"left{number}.mp4\tright{number}.mp4" for number in range(count)]
    file.write_text("\n".join(["# what was recorded", "", *lines]))
    return file


def shown(rows: Rows) -> list[str]:
    return sorted(row.name for row in rows)


def test_a_job_has_its_key_whatever_and_whenever():
    job = PairJob(data="data/headsets", setup=0, pair="1,2", labels="both", epochs=8, seed=1)
    again = PairJob(seed=1, epochs=8, labels="both", pair="1,2", setup=0, data="data/headsets")
    assert job.key == again.key and len(job.key) == 16
    others = [
        PairJob(data="data/headsets", setup=0, pair="1,2", labels="both", epochs=8, seed=1, **{name: value})
        for name, value in {"pic": 3, "held_out": True, "faithful": True, "weights_sha256": "a"}.items()
    ]
    assert len({job.key, lost(0).key, lost(1).key, *(other.key for other in others)}) == 7


def test_a_data_sets_jobs_are_all_its_pairs_in_all_settings(tmp_path):
    jobs = list(jobs_of(Settings(tmp_path, data=tmp_path, labels=("s2dhand", "both"), faithful=True)))
    assert len(jobs) == 36 == len({job.key for job in jobs})
    assert {(job.setup, job.pair) for job in jobs if isinstance(job, PairJob)} == {
        (setup, pair) for setup in (0, 1) for pair in ("0,1", "0,2", "0,3", "1,2", "1,3", "2,3")
    }


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 6), st.sampled_from(["add", "fail", "gather", "reopen"])), max_size=24))
def test_each_job_has_one_row_however_they_come(tmp_path_factory, deeds):
    folder = tmp_path_factory.mktemp("rows")
    rows, expected = Rows(folder), {}
    for number, deed in deeds:
        job = lost(number)
        if deed == "gather":
            rows.gather()
        elif deed == "reopen":
            rows = Rows(folder)
        else:
            rows.add(row_of(job, 1.0, error="lost" if deed == "fail" else None))
            # A loose row gives way to the next one; figures once gathered stay.
            expected[job.key] = deed
    assert {job.key for job in map(lost, range(7)) if job.key in rows} == set(expected)
    told = list(rows)
    assert sorted(row.key for row in told) == sorted(expected)


def test_figures_go_before_errors_and_errors_may_be_tried_again(tmp_path):
    rows, job = Rows(tmp_path), lost(0)
    rows.add(row_of(job, 1.0, error="lost"))
    rows.gather()
    assert job.key in Rows(tmp_path) and job.key not in Rows(tmp_path, retry=True)
    rows.add(row_of(job, 1.0, off_before=0.3, off_after=0.2, saved=True))
    assert [row.error for row in Rows(tmp_path)] == [None]


def test_what_was_broken_off_while_it_was_written_is_no_row(tmp_path):
    Rows(tmp_path).add(row_of(lost(0), 1.0))
    (tmp_path / "row-0123456789abcdef.99.part").write_bytes(b"PAR1")
    assert shown(Rows(tmp_path)) == [lost(0).name]
    (tmp_path / "row-0123456789abcdef.parquet").write_bytes(b"PAR1")
    with pytest.raises(UserError, match="is no shard of a sweep"):
        Rows(tmp_path)


def test_all_rows_are_one_parquet_file(tmp_path):
    from pyarrow import parquet

    rows = Rows(tmp_path / "rows")
    for number in range(5):
        rows.add(row_of(lost(number), 0.5, off_before=0.3))
    assert rows.save(tmp_path / "all.parquet") == 5
    table = parquet.read_table(tmp_path / "all.parquet")
    assert sorted(table["name"].to_pylist()) == shown(rows) and table["off_before"].to_pylist() == [0.3] * 5


def test_what_is_wrong_with_a_job_stands_in_its_row():
    row = run_job(lost(0))
    assert row.error == "left0.mp4 is no video that can be read: give a file such as left.mp4"
    pair = PairJob(data="nowhere", setup=0, pair="1,2", labels="both", epochs=1, seed=0)
    assert "nowhere is no folder" in str(run_job(pair).error)


def test_a_sweep_goes_on_where_it_was_killed(tmp_path):
    """With real processes, the whole program killed once it has a row."""
    out, recordings = tmp_path / "out", listed(tmp_path, 12)
    command = [sys.executable, "-m", "tools.sweep", out, "--recordings", recordings, "--workers", "1"]
    run = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not list(out.glob("row*.parquet")):
        assert run.poll() is None
        time.sleep(0.01)
    workers = psutil.Process(run.pid).children()
    run.kill()
    run.wait()
    # Workers end with the sweep.
    assert not psutil.wait_procs(workers, timeout=60)[1]
    before = {file: file.stat().st_mtime_ns for file in out.glob("row*.parquet")}
    assert before
    rows = sweep(Settings(out, recordings=recordings, workers=2))
    assert shown(rows) == sorted(lost(number).name for number in range(12))


def test_a_second_sweep_runs_nothing(tmp_path, capsys):
    for number in range(4):
        Rows(tmp_path).add(row_of(job_in(tmp_path, number), 0.0, error="lost"))
    sweep(Settings(tmp_path, recordings=listed(tmp_path, 4), workers=2))
    assert capsys.readouterr().out == "0 runs done, 0 of them failed; 4 had their row before\n"


def job_in(folder: Path, number: int) -> Job:
    return list(jobs_of(Settings(folder, recordings=listed(folder, number + 1))))[number]


@contextmanager
def killed_workers(most: int) -> Iterator[list[int]]:
    """Kills each worker as it starts, `most` of them; the process ids of those that were killed."""
    killed: list[int] = []
    over = threading.Event()

    def kill() -> None:
        while len(killed) < most and not over.wait(0.001):
            for child in worker_processes():
                if child.pid not in killed and child.pid and len(killed) < most:
                    killed.append(child.pid)
                    os.kill(child.pid, signal.SIGKILL)

    killer = threading.Thread(target=kill)
    killer.start()
    try:
        yield killed
    finally:
        over.set()
        killer.join()


def worker_processes() -> list[BaseProcess]:
    return [child for child in multiprocessing.active_children() if child.name.startswith("Loky")]


def test_a_killed_workers_job_is_run_again_and_the_others_go_on():
    with killed_workers(1) as killed:
        rows = list(run_jobs(map(lost, range(5)), workers=2))
    assert killed and sorted(row.name for row in rows) == sorted(lost(number).name for number in range(5))
    assert all("is no video" in str(row.error) for row in rows)


def test_a_job_that_kills_every_worker_becomes_a_row():
    with killed_workers(ATTEMPTS) as killed:
        first, second = run_jobs([lost(0), lost(1)], workers=1)
    assert len(killed) == ATTEMPTS
    assert str(first.error).startswith(f"its worker died {ATTEMPTS} times") and first.key == lost(0).key
    assert "is no video" in str(second.error) and second.key == lost(1).key


def test_jobs_are_drawn_as_workers_are_free():
    drawn = []

    def endless() -> Iterator[Job]:
        number = 0
        while True:
            drawn.append(number)
            yield lost(number)
            number += 1

    with closing(run_jobs(endless(), workers=1)) as rows:
        for taken in range(1, 4):
            next(rows)
            assert len(drawn) <= taken + 1
    assert not worker_processes()


def test_two_settings_of_two_pairs_make_the_table(headset_set, tmp_path, capsys):
    if not DEFAULT_WEIGHTS.is_file():
        pytest.skip("the weights that ship are not there yet: python -m tools.train makes them")
    asked = Settings(
        tmp_path / "out",
        data=headset_set,
        setups=(0,),
        pairs=("1,2",),
        labels=("s2dhand", "both"),
        pic=20,
        test_pic=4,
        epochs=1,
        workers=1,
        picture=tmp_path / "table.png",
        keep=tmp_path / "kept",
    )
    assert main(asked) == 0
    told = capsys.readouterr().out
    rows = list(Rows(asked.out))
    assert sorted(row.labels for row in rows) == ["both", "s2dhand"]
    for row in rows:
        assert row.tested == 4 and row.mono_before_mm and row.mono_after_mm and row.mono_after_mm != row.mono_before_mm
        assert f"{row.mono_before_mm:.2f}" in told and f"{row.mono_after_mm:.2f}" in told
        assert (tmp_path / "kept" / row.key / "set0-1,2" / "ckp_detnet_1.safetensors").is_file()
    assert "published" in told and "-14.0" in told and "-9.0" in told and "overall" in told
    assert asked.picture and asked.picture.read_bytes().startswith(b"\x89PNG")


def test_the_table_weighs_pairs_by_what_was_tested(tmp_path):
    def row(pair: str, tested: int, before: float, after: float) -> Row:
        job = PairJob(data="d", setup=0, pair=pair, labels="both", epochs=1, seed=1)
        both = {"before": before, "after": after}
        figures = {f"{name}_{when}_mm": value for name in ("mono", "dual") for when, value in both.items()}
        rotations = {"rotation_before_deg": 3.0, "rotation_after_deg": 1.0, "own_rotation_after_deg": 2.0}
        return row_of(job, 1.0, tested=tested, dual_before_placed_mm=before, **figures, **rotations)

    table = table_of([row("0,1", 30, 40.0, 30.0), row("0,2", 10, 20.0, 21.0), row_of(lost(0), 0.0, error="lost")])
    overall = next(line for line in table.splitlines() if line.startswith("overall")).split()
    assert overall[1:5] == ["40", "35.00", "27.75", "-20.7"]
    assert "worse than before: set0-0,2" in table and "1 x lost" in table
    with pytest.raises(UserError, match="no camera pairs' figures"):
        draw_table([row_of(lost(0), 0.0, error="lost")], tmp_path / "none.png")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, "either --data FOLDER"),
        ({"data": Path("d"), "recordings": Path("r")}, "either --data FOLDER"),
        ({"data": Path("d"), "pairs": ("1,1",)}, "--pairs 1,1 is no camera pair"),
        ({"data": Path("d"), "setups": (2,)}, "--setups 2 is no headset"),
        ({"data": Path("d"), "workers": 0}, "--workers is 0"),
        ({"recordings": Path("none.txt")}, "none.txt cannot be read"),
        ({"recordings": Path(__file__)}, "names .* clips: expected two"),
        ({"data": Path("d"), "ray": "127.0.0.1:1"}, "nothing answers there"),
        ({"data": Path("d"), "ray": "cluster"}, "--ray cluster is no address"),
    ],
)
def test_what_cannot_be_done_says_so_in_a_sentence(tmp_path, changed, reason):
    with pytest.raises(UserError, match=reason) as told:
        sweep(Settings(tmp_path / "out", **changed))
    assert "\n" not in str(told.value)


@pytest.mark.skipif(find_spec("ray") is None, reason="Ray is not installed: pip install '.[ray]'")
def test_a_local_ray_cluster_does_the_same():
    rows = list(run_jobs(map(lost, range(3)), workers=1, ray="local"))
    assert sorted(row.name for row in rows) == sorted(lost(number).name for number in range(3))
    assert all("is no video" in str(row.error) for row in rows)
