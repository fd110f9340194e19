"""The options of adapting to a data set's camera pair, under the names that were published with S2DHand.

What each means there, after the README and the option parser of github.com/ut-vision/S2DHand (commits c1a9db8 and 1eea91c):

- `-trs`, `-tes`: data sets to adapt to and to test on; `ah` is AssemblyHands, in `assemblyhands` below `-dr` (`data`). Both are
  read from its split `val`: the first `--pic` pairs are adapted to, all pairs are the test, those included.
- `--pic`: hand pairs of both cameras; -1 for all. With `--evaluate` it limits the test instead.
- `--setup`, `--pair`: headset 0 or 1, and two of its four cameras: 0,1 0,2 0,3 1,2 1,3 2,3.
- `-eid N` with `--resume` or `--evaluate`: weights `ckp_detnet_N.pth` in `--checkpoint`; with `--resume` also in `pretrain`. 37
  was trained on AssemblyHands with root joint 0, 68 on RHD and GANerated Hands with root joint 9.
- `--root_idx`: the joint that hands are put upon.
- `--epochs`, 10, counted from `--start_epoch`, 1; weights are kept after each. `-b`, 64 pairs; `-lr`, 0.0005, of Adam.
- `--alpha`, 0.7: share of the merged hand in pseudo-labels. `--gpus`: which of them. The seed is 1.

Where ours differs: weights need not be named, those that ship are the default; `--estimator mediapipe-3d` adapts that network,
whose weights are `ckp_mediapipe-3d_N`; each camera pair has a folder of its own below
`--checkpoint`; a data set's folder may stand in the place of `ah`; and what the published code reads from a table or from
annotations comes from the pictures unless `--faithful` asks for it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import torch
from tyro.conf import arg

from adapt.core.targets import FAITHFUL, LabelSource, Recipe
from adapt.datasets.assembly_hands import PAIRS
from hand.errors import UserError
from runtime.estimators.network_settings import NetworkSettings

PUBLISHED_FOLDERS = {"ah": "assemblyhands"}
PRETRAINED = Path("pretrain")
PUBLISHED_SEED, PUBLISHED_BATCH = 1, 64
NAMES = ("-trs", "--datasets_train", "--datasets-train", "-tes", "--datasets_test", "--datasets-test")
"""By these a command line is known to be about a data set."""


@dataclass(kw_only=True)
class Settings(NetworkSettings):
    """Adapt a network to one camera pair of a data set in AssemblyHands' layout, and test it after every epoch."""

    datasets_train: Annotated[tuple[str, ...], arg(aliases=["-trs"])] = ("ah",)
    """Data set to adapt to: ah, in --data_root, or any folder that holds `annotations` and `images`."""
    datasets_test: Annotated[tuple[str, ...], arg(aliases=["-tes"])] = ()
    """Data set to test on; the same if not given."""
    data_root: Annotated[Path, arg(aliases=["-dr"])] = Path("data")
    """Folder that holds `assemblyhands`."""
    setup: int = 0
    """Headset, 0 or 1."""
    pair: str = "1,2"
    """Its cameras: 0,1 0,2 0,3 1,2 1,3 or 2,3."""
    pic: int = -1
    """Hand pairs to adapt to, the first so many; with --evaluate, to test on. -1 for all."""
    checkpoint: Annotated[Path, arg(aliases=["-ckp"])] = Path("checkpoints")
    """Folder of adapted weights; each camera pair has its own in it."""
    resume: Annotated[bool, arg(aliases=["-r"])] = False
    """Begin with the weights of --evaluate_id; with those of an epoch before --start_epoch, go on where it ended."""
    evaluate: Annotated[bool, arg(aliases=["-e"])] = False
    """Test, and adapt nothing."""
    evaluate_id: Annotated[int | None, arg(aliases=["-eid"])] = None
    """Number N of the weights ckp_detnet_N (.safetensors or .pth) in --checkpoint, or in `pretrain`; in place of --weights."""
    epochs: int = 10
    start_epoch: Annotated[int, arg(aliases=["-se"])] = 1
    """Number of the first epoch."""
    train_batch: Annotated[int | None, arg(aliases=["-b"])] = None
    """Hand pairs a step; 32 if not given, with --faithful 64."""
    learning_rate: Annotated[float | None, arg(aliases=["-lr"])] = None
    """The recipe's if not given."""
    alpha: float | None = None
    """Share of the merged hand in pseudo-labels, in [0, 1]; the recipe's if not given."""
    root_idx: int | None = None
    """Joint that hands are put upon when they are compared with the truth; the network's own root if not given."""
    gpus: str = "0"
    """Number of the NVIDIA GPU; where there is none, the CPU stands in."""

    labels: LabelSource | None = None
    """Where pseudo-labels come from: agreement of the two views (s2dhand), triangulation (geometry), or both, the default."""
    rehearse: float = 0.0
    """Share of synthetic hands, whose joints are known, among all that is trained on, against forgetting; 0 for none."""
    faithful: bool = False
    """As published: --labels s2dhand, joints from the more confident view alone, the rotation kept from pseudo-labels, seed 1."""
    rotations: Path | None = None
    """JSON table to take the rotation from with --faithful; if not given, the first batch tells it."""
    held_out: bool = False
    """Test only on pairs that were not adapted to."""
    test_pic: int = -1
    """Hand pairs to test on, evenly chosen; -1 for all."""
    keep: Literal["all", "last"] = "all"
    """Test every epoch and keep its weights, and what going on needs; or do so with the last one alone."""
    split: str = "val"
    cache: Path | None = None
    """Where index and list of invalid hands are kept; next to the annotations if not given."""
    seed: int = PUBLISHED_SEED
    threads: int = 1
    """Of a CPU."""

    @property
    def cameras(self) -> tuple[int, int]:
        """Raises UserError for what is no pair."""
        found = next((pair for pair in PAIRS if f"{pair[0]},{pair[1]}" == self.pair.replace(" ", "")), None)
        if found is None:
            known = " ".join(f"{a},{b}" for a, b in PAIRS)
            raise UserError(f"--pair {self.pair} is no camera pair: expected one of {known}")
        return found

    @property
    def name(self) -> str:
        """Of headset and pair, as the published evaluation has it."""
        a, b = self.cameras
        return f"set{self.setup}-{a},{b}"

    @property
    def folder(self) -> Path:
        """Where this pair's weights go."""
        return self.checkpoint / self.name

    def weights_of(self, epoch: int) -> Path:
        return self.folder / f"{self.stem}{epoch}.safetensors"

    @property
    def stem(self) -> str:
        """What file names of weights begin with."""
        return f"ckp_{self.estimator}_"

    @property
    def recipe(self) -> Recipe:
        from dataclasses import replace

        given = {"alpha": self.alpha, "rate": self.learning_rate}
        usual = FAITHFUL if self.faithful else Recipe.of(self.label_source)
        return replace(usual, **{name: value for name, value in given.items() if value is not None})

    @property
    def label_source(self) -> LabelSource:
        return self.labels or ("s2dhand" if self.faithful else "both")

    @property
    def batch(self) -> int:
        return self.train_batch or (PUBLISHED_BATCH if self.faithful else 32)

    def data(self, which: Literal["train", "test"]) -> Path:
        """Folder of a data set. Raises UserError where none or several are named."""
        names = self.datasets_train if which == "train" else self.datasets_test or self.datasets_train
        option = "-trs" if which == "train" else "-tes"
        if len(names) != 1:
            raise UserError(f"{option} names {len(names)} data sets ({' '.join(names)}): expected one, ah or a folder")
        known = PUBLISHED_FOLDERS.get(names[0])
        folder = self.data_root / known if known else Path(names[0])
        if not folder.is_dir():
            raise UserError(
                f"{option} {names[0]}: {folder} is no folder: expected one that holds `annotations` and `images`; link "
                "AssemblyHands there, or draw a set with 'python -m tools.make.headset_set FOLDER'"
            )
        return folder

    def source(self) -> Path:
        """File of the weights to begin with. Raises UserError where it is not there."""
        if self.evaluate_id is None:
            return self.weights_file
        folders = [self.folder, self.checkpoint, PRETRAINED]
        names = [f"{self.stem}{self.evaluate_id}{suffix}" for suffix in (".safetensors", ".pth")]
        for file in (folder / name for folder in folders for name in names):
            if file.is_file():
                return file
        raise UserError(
            f"-eid {self.evaluate_id}: there is no {' or '.join(names)} in {', '.join(map(str, folders))}: put it there, or "
            "leave -eid away for the network that ships"
        )

    def device(self) -> tuple[torch.device, str]:
        """The device, and a sentence about it. Raises UserError for a --gpus that is no number."""
        if not torch.cuda.is_available():
            return torch.device("cpu"), "torch sees no NVIDIA GPU on this machine: --gpus is passed over, the CPU computes"
        if not self.gpus.strip().isdigit() or int(self.gpus) >= torch.cuda.device_count():
            raise UserError(f"--gpus {self.gpus}: expected the number of one GPU, 0 to {torch.cuda.device_count() - 1}")
        device = torch.device("cuda", int(self.gpus))
        return device, f"on {torch.cuda.get_device_name(device)}"

    def check(self) -> None:
        """Raises UserError for what would fail only later."""
        _ = self.cameras, self.data("train"), self.data("test"), self.source()
        if self.setup not in (0, 1):
            raise UserError(f"--setup is {self.setup}, expected 0 or 1")
        for name, least in (("epochs", 0), ("start_epoch", 1), ("batch", 1), ("threads", 1)):
            if getattr(self, name) < least:
                raise UserError(f"--{name} is {getattr(self, name)}, expected {least} or more")
        if self.pic == 0 or self.test_pic == 0:
            raise UserError("no hand pairs are asked for: expected --pic and --test_pic of 1 or more, or -1 for all")
        if self.alpha is not None and not 0 <= self.alpha <= 1:
            raise UserError(f"--alpha is {self.alpha}, expected a share from 0 to 1")
        if self.root_idx is not None and self.root_idx not in range(21):
            raise UserError(f"--root_idx is {self.root_idx}, expected a joint from 0 to 20; published weights have 0 or 9")
        if self.held_out and self.pic < 0 and not self.evaluate:
            raise UserError("--held_out tests on pairs that were not adapted to, but --pic -1 adapts to all: give --pic a number")
        if self.rotations is not None and not self.faithful:
            raise UserError(f"--rotations {self.rotations} is for --faithful: otherwise the cameras are found from the pictures")
