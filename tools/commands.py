"""Which commands there are: the words after `duohand`, what each is for, and the module that `python -m` runs."""

import importlib
import importlib.util
from types import ModuleType
from typing import NamedTuple

PROG = "duohand"


class Command(NamedTuple):
    """One command of `duohand`; no dataclass, whose import takes longer than all else that `duohand --help` does."""

    name: str
    """Its words, such as `export onnx`."""
    module: str
    """As `python -m` takes it. It or its `__main__` has `Settings` and `main(settings)`."""
    help: str
    """One line."""
    reads_line: bool = False
    """Whether there is `main(arguments, prog)` instead, for a command line that one settings class does not describe."""


GROUPS: dict[str, tuple[Command, ...]] = {
    "Live": (
        Command("stream", "stream", "Track a hand with two cameras, live.", reads_line=True),
        Command("demo", "tools.demo", "The same with two synthetic cameras; needs no hardware.", reads_line=True),
        Command("cameras", "tools.cameras", "List the cameras of this host."),
        Command("doctor", "tools.doctor", "Check whether this machine can run everything."),
        Command("feed", "tools.feed", "Publish a camera in the wire format, as a headset does.", reads_line=True),
        Command("listen", "tools.listen", "Print the hands that another program publishes.", reads_line=True),
        Command("keys", "tools.keys", "Make keys for frames and hands that leave this host."),
    ),
    "Recordings and photographs": (
        Command("session", "tools.session", "Describe, cut, export or repair a recording.", reads_line=True),
        Command("calibration", "tools.calibration", "List cameras that were found, or write them for others.", reads_line=True),
        Command("predict", "tools.predict", "Find hands in photographs."),
        Command("visualize", "tools.visualize", "Draw a data set's labels or predictions."),
        Command("label", "tools.label", "Label real hands for training by two-view geometry."),
        Command("label photos", "tools.photos", "Make photographs of hands into training data."),
    ),
    "Adaptation": (
        Command("adapt", "adapt.offline", "Adapt the network to two clips or a data set, without labels.", reads_line=True),
        Command("prequential", "tools.prequential", "Judge live adaptation on two clips: each pair before it is learnt from."),
        Command("sweep", "tools.sweep", "Adapt to many camera pairs or recordings."),
    ),
    "Engines": (
        Command("export all", "export.all", "Make every engine that this machine can from a network's weights."),
        Command("export onnx", "export.onnx", "Write a network as one ONNX file."),
        Command("export int8", "export.int8", "Calibrate a network for eight bits."),
        Command("export tensorrt", "export.tensorrt", "Build a network for TensorRT on this machine's GPU."),
        Command("export parity", "export.parity", "Compare engines with the torch reference."),
        Command("export graphs", "export.graphs", "Draw the graphs that ship, without weights."),
        Command("export probe", "export.probe", "Draw the crops that engines are checked on."),
        Command("get-mediapipe", "tools.get_mediapipe", "Fetch MediaPipe's hand models."),
    ),
    "Networks": (
        Command("train", "tools.train", "Train a hand network on synthetic hands."),
        Command("train locator", "tools.train.locator", "Train the locator."),
        Command("train mediapipe-3d", "tools.train.mediapipe_3d", "Train the depth and the doubt of mediapipe-3d."),
        Command("train bank", "tools.train.bank", "Render hands for training in advance."),
        Command("train backgrounds", "tools.train.backgrounds", "Collect photographs for the background."),
        Command("train trunks", "tools.train.trunks", "Compare networks of different trunks."),
        Command("evaluate", "tools.evaluate", "Evaluate a hand network on hands that training never saw."),
        Command("evaluate locator", "tools.evaluate.locator", "Evaluate the locator."),
        Command("evaluate labels", "tools.evaluate.labels", "Compare kinds of pseudo-labels."),
        Command("evaluate geometry", "tools.evaluate.geometry", "Evaluate self-calibration on synthetic cameras."),
        Command("evaluate windows", "tools.evaluate.windows", "Compare the cameras that parts of a recording give."),
        Command("evaluate promotion", "tools.evaluate.promotion", "Evaluate the promotion gate of live adaptation."),
        Command("evaluate landmark-confidence", "tools.evaluate.landmark_confidence", "Fit the error of MediaPipe's landmarks."),
        Command("make hand", "tools.make.hand", "Make the hand that ships."),
        Command("make foreign-hand", "tools.make.foreign_hand", "Make the hand that networks are evaluated on."),
        Command("make people", "tools.make.people", "Make the people that training scenes show."),
        Command("make headset-set", "tools.make.headset_set", "Render a data set in AssemblyHands' layout."),
    ),
    "Speed and reliability": (
        Command("bench", "tools.bench", "Time the parts on this machine.", reads_line=True),
        Command("bench transport", "tools.bench.transport", "Time frames between processes."),
        Command("bench record", "tools.bench.record", "Time the recorder."),
        Command("compare-runs", "tools.compare_runs", "Compare the hands of two checkouts byte for byte."),
        Command("soak", "tools.stress.soak", "Stream for long while faults are injected."),
        Command("fuzz", "tools.stress.fuzz", "Send malformed messages to all that reads from a socket."),
    ),
}
"""All commands, in the order of `duohand --help`."""
COMMANDS: dict[str, Command] = {command.name: command for group in GROUPS.values() for command in group}


def load(command: Command) -> ModuleType:
    """Import the module that holds a command's settings and `main`."""
    spec = importlib.util.find_spec(command.module)
    is_package = spec is not None and spec.submodule_search_locations is not None
    return importlib.import_module(f"{command.module}.__main__" if is_package else command.module)
