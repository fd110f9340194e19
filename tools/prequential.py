"""Prequential evaluation of adaptation, each pair scored before it is trained on: `python -m tools.prequential out --left A …`.

What a network that adapts live is worth is how well it does on what it has not seen yet. First the cameras find their places on
the whole recording, without labels; then its pairs come in order: the network says where the hand is, which is written down, and
only then learns a step from that pair and earlier ones. With `--no-learn` nothing is learnt: the same pairs as they were before.
Hands are merged by rotation, softmax, unsmoothed.
"""

from dataclasses import dataclass

import msgspec
import numpy as np
import torch
from tqdm import tqdm

from adapt.core.geometry_teacher import label_recording
from adapt.core.kept_inputs import KeptInputs
from adapt.core.training_samples import TrainingSample, TrainingSet
from adapt.offline import adapt_recording
from adapt.offline.adapt_recording import MakeEstimator, estimator
from adapt.offline.training import make_mean_teacher
from adapt.online.validation import predict_samples
from capture.views import PerView
from hand import program
from hand.files import saving_lines
from hand.rotations import angle_deg
from runtime.fusion.merge import merge
from runtime.geometry.rotation_estimator import RotationEstimator
from runtime.types import ViewHand


@dataclass
class Settings(adapt_recording.Settings):
    """Evaluate adaptation pair by pair, each before it is trained on; hands.jsonl is written into the folder."""

    learn: bool = True


def run(settings: Settings, make_estimator: MakeEstimator | None = None) -> int:
    """Write the hands; how many there were. Raises UserError where nothing can be evaluated.

    `make_estimator` as in `adapt.offline.adapt`.
    """
    make = make_estimator or (lambda: estimator(settings))
    settings.check()
    settings.check_files(settings.run / "hands.jsonl")
    network, manifest = settings.load_network()
    calibration = settings.calibrated(make())
    geometry = calibration.state.geometry
    assert geometry is not None
    learning = make_mean_teacher(settings, network, manifest, geometry)
    own, samples, count = RotationEstimator(), list[TrainingSample](), 0
    kept, order = KeptInputs(network, settings.most, settings.recipe), torch.Generator().manual_seed(settings.seed)
    with saving_lines(settings.run / "hands.jsonl", overwrite=settings.overwrite) as file:
        labelled = label_recording(settings.read("judging and learning"), make(), calibration.state)
        for pair in labelled:
            if pair is None:
                continue
            sample = TrainingSample.cut(pair, manifest)
            predictions = predict_samples(learning.teacher, manifest, kept(TrainingSet.of([sample])))
            hands = PerView.of(
                lambda view, predictions=predictions, sample=sample: ViewHand(
                    view, sample.side, predictions.joints[view][0], predictions.pixels[view][0], predictions.confidence[view][0]
                )
            )
            weight = np.sqrt(hands.left.confidence * hands.right.confidence)
            own.update(sample.captured_ns, hands.left.joints, hands.right.joints, weight)
            file.write(hand_line(pair.pair.left.seq, hands, geometry.R_right_from_left))
            count += 1
            samples = [*samples[-settings.most + 1 :], sample]
            if settings.learn:
                rows = torch.randperm(len(samples), generator=order)[: settings.batch - 1].tolist()
                # The newest pair is always among them.
                training_set = kept(TrainingSet.of([samples[row] for row in {*rows, len(samples) - 1}]))
                R, labels = geometry.R_right_from_left, training_set.labels
                learning.step(training_set.pairs, R, labels=settings.labels, geometry_labels=labels)
    if own.rotation is not None:
        off_deg = float(angle_deg(own.rotation, geometry.R_right_from_left))
        tqdm.write(f"{count} pairs; the network's own hands tell a rotation {off_deg:.1f} deg from the cameras'")
    return count


def hand_line(index: int, hands: PerView[ViewHand], R_right_from_left: np.ndarray) -> bytes:
    """A line as `stream.py --save` writes it, without its end, of what scoring reads."""
    record = {
        "index": index,
        "side": hands.left.side,
        "views": {view: {"joints": hand.joints.tolist()} for view, hand in hands.items()},
        "fused": {"joints": merge(hands, R_right_from_left).joints.tolist()},
        "R_right_from_left": R_right_from_left.tolist(),
    }
    return msgspec.json.encode(record)


def main(settings: Settings) -> None:
    run(settings)


if __name__ == "__main__":
    program.run(main, Settings)
