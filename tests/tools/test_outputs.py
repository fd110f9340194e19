"""No command writes over a file that is there already, or over one that it reads; it says so before it does anything else."""

from collections.abc import Callable
from pathlib import Path

import pytest

import export.int8
import export.onnx
import export.probe
import tools.bench.suite
import tools.compare_runs
import tools.evaluate.geometry
import tools.evaluate.labels
import tools.evaluate.network
import tools.evaluate.promotion
import tools.keys
import tools.label
import tools.make.foreign_hand
import tools.make.hand
import tools.make.people
import tools.predict
import tools.prequential
import tools.session
import tools.sweep.command
import tools.train.backgrounds
import tools.train.locator
import tools.train.network
import tools.visualize
from adapt.offline import adapt_recording
from capture.transport.keys import make_keys
from hand.errors import UserError
from tests.paths import ROOT

PRECIOUS = "precious"
Call = Callable[[Path, Path, bool], object]
"""Runs a command in a folder that holds `in.mp4`, `in.png`, `w.safetensors` with `w.json`: its output, whether to overwrite."""

WRITERS: dict[str, Call] = {
    "adapt": lambda at, out, over: adapt_recording.adapt(
        adapt_recording.Settings(out.parent, left=at / "in.mp4", right=at / "in.mp4", overwrite=over)
    ),
    "bench": lambda at, out, over: tools.bench.suite.main(tools.bench.suite.Settings((), json=out, overwrite=over)),
    "compare_runs": lambda at, out, over: tools.compare_runs.main(
        tools.compare_runs.Settings(
            *(ROOT, ROOT), at / "in.mp4", at / "in.mp4", out=out.parents[1], engines=("torch",), merges=("auto",), overwrite=over
        )
    ),
    "evaluate geometry": lambda at, out, over: tools.evaluate.geometry.main(
        tools.evaluate.geometry.Settings(page=out, overwrite=over)
    ),
    "evaluate labels": lambda at, out, over: tools.evaluate.labels.main(
        tools.evaluate.labels.Settings(at / "rows", at / "deep", json=out, overwrite=over)
    ),
    "evaluate network": lambda at, out, over: tools.evaluate.network.main(
        tools.evaluate.network.Settings(page=out, overwrite=over)
    ),
    "evaluate promotion": lambda at, out, over: tools.evaluate.promotion.main(
        tools.evaluate.promotion.Settings(json=out, overwrite=over)
    ),
    "export int8": lambda at, out, over: export.int8.main(export.int8.Settings(to=out, plan=at / "new.json", overwrite=over)),
    "export int8 plan": lambda at, out, over: export.int8.main(export.int8.Settings(to=at / "new", plan=out, overwrite=over)),
    "export onnx": lambda at, out, over: export.onnx.main(
        export.onnx.Settings(weights=at / "w.safetensors", to=out, overwrite=over)
    ),
    "export probe": lambda at, out, over: export.probe.main(export.probe.Settings(out, overwrite=over)),
    "label": lambda at, out, over: tools.label.main(
        tools.label.Settings(at / "taught", left=at / "in.mp4", right=at / "in.mp4", sheet=out, overwrite=over)
    ),
    "make foreign_hand": lambda at, out, over: tools.make.foreign_hand.main(
        tools.make.foreign_hand.Settings(package=at / "in.png", out=out, overwrite=over)
    ),
    "make hand": lambda at, out, over: tools.make.hand.main(tools.make.hand.Settings(out=out, overwrite=over)),
    "make people": lambda at, out, over: tools.make.people.main(tools.make.people.Settings(out=out, overwrite=over)),
    "predict": lambda at, out, over: tools.predict.main(tools.predict.Settings([at / "in.png"], save=out, overwrite=over)),
    "predict drawing": lambda at, out, over: tools.predict.main(
        tools.predict.Settings([at / "deep" / "out.png"], draw=out.parent, overwrite=over)
    ),
    "prequential": lambda at, out, over: tools.prequential.main(
        tools.prequential.Settings(out.parent, left=at / "in.mp4", right=at / "in.mp4", overwrite=over)
    ),
    "session cut": lambda at, out, over: tools.session.cut(at / "in.mp4", out, overwrite=over),
    "session export": lambda at, out, over: tools.session.export(at / "in.mp4", out, overwrite=over),
    "session repair": lambda at, out, over: tools.session.repair(at / "in.mp4", out, overwrite=over),
    "sweep": lambda at, out, over: tools.sweep.command.main(
        tools.sweep.command.Settings(at / "rows", recordings=at / "in.png", picture=out, overwrite=over)
    ),
    "train backgrounds": lambda at, out, over: tools.train.backgrounds.main(
        tools.train.backgrounds.Settings(out, [at / "deep"], packages=False, overwrite=over)
    ),
    "visualize": lambda at, out, over: tools.visualize.main(tools.visualize.Settings(at, out, overwrite=over)),
}
NAMES = {
    "adapt": "run/weights.safetensors",
    "compare_runs": "run/before/clip-torch-auto.jsonl",
    "export probe": "out.png",
    "predict drawing": "out.png",
    "prequential": "run/hands.jsonl",
    "session export": "out.npz",
}
"""Where a command decides itself, or by its ending, how its file is named."""


@pytest.fixture
def at(tmp_path: Path) -> Path:
    for name in ("in.mp4", "in.png", "w.safetensors", "w.json", "deep/out.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(PRECIOUS)
    return tmp_path


@pytest.mark.parametrize("command", WRITERS)
def test_a_file_that_is_there_is_not_replaced_unasked(at, command):
    out = at / NAMES.get(command, "out.json")
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(PRECIOUS)
    with pytest.raises(UserError, match=rf"{out.name} is there already: .*--overwrite"):
        WRITERS[command](at, out, False)
    assert out.read_text() == PRECIOUS


@pytest.mark.parametrize(
    ("command", "name"),
    [
        ("bench", "folder"),
        ("export onnx", "w.safetensors"),
        ("export onnx", "w.json"),
        ("label", "in.mp4"),
        ("make foreign_hand", "in.png"),
        ("predict", "in.png"),
        ("predict drawing", "deep/out.png"),
        ("session cut", "in.mp4"),
        ("session repair", "in.mp4"),
        ("sweep", "in.png"),
        ("train backgrounds", "deep/out.png"),
    ],
)
def test_what_a_command_reads_is_never_written_over(at, command, name):
    (at / "folder").mkdir()
    with pytest.raises(UserError) as raised:
        WRITERS[command](at, at / name, True)
    assert name.rpartition("/")[2] in str(raised.value) and "\n" not in str(raised.value)
    assert all(file.read_text() == PRECIOUS for file in at.rglob("*") if file.is_file())


def test_pictures_of_one_name_are_not_drawn_into_one_file(at):
    with pytest.raises(UserError, match="one file"):
        tools.predict.main(tools.predict.Settings([at / "in.png", at / "deep" / "in.jpg"], draw=at / "drawn"))
    assert not (at / "drawn").exists()


def test_weights_to_start_from_are_not_those_that_training_writes(at):
    (at / "locator.safetensors").write_text(PRECIOUS)
    (at / "w.safetensors").rename(at / "weights.safetensors")
    with pytest.raises(UserError, match="--start"):
        tools.train.network.main(tools.train.network.Settings(at, start=at / "weights.safetensors"))
    with pytest.raises(UserError, match="--start"):
        tools.train.locator.main(tools.train.locator.Settings(at, start=at / "locator.safetensors"))


def test_a_trusted_key_is_not_exchanged_unasked(tmp_path):
    own, other, third = (make_keys(tmp_path / name).folder for name in ("own", "other", "third"))
    for folder in (other, third):
        (folder / "own.key").rename(folder / "headset.key")
    tools.keys.main(tools.keys.Settings(own, other / "headset.key"))
    with pytest.raises(UserError, match="--overwrite"):
        tools.keys.main(tools.keys.Settings(own, third / "headset.key"))
    with pytest.raises(UserError, match="--trust"):
        tools.keys.main(tools.keys.Settings(own, own / "peers" / "headset.key", overwrite=True))
    assert (own / "peers" / "headset.key").read_bytes() == (other / "headset.key").read_bytes()
    tools.keys.main(tools.keys.Settings(own, third / "headset.key", overwrite=True))
    assert (own / "peers" / "headset.key").read_bytes() == (third / "headset.key").read_bytes()
