"""The truth has the least loss, and the losses can be walked down."""

from dataclasses import fields, replace

import pytest
import torch

from adapt.core.targets import delta_target, heat_target
from hand.synth.backgrounds import Backgrounds
from hand.synth.crops import CropRenderer, SyntheticCrops
from runtime.networks.detnet import DetNet
from runtime.networks.detnet_lite import DetNetLite
from tools.train.losses import lite_loss, surface_loss, training_loss

SIZE = 32


@pytest.fixture(scope="module")
def batch() -> SyntheticCrops:
    return CropRenderer(SIZE, Backgrounds.load(None, "train"), seed=7).render(24)


class Oracle(DetNetLite):
    """A network that was told the truth: heat at the joints' cells, the joints themselves wherever it is read."""

    def __init__(self, drawn: SyntheticCrops, doubt: float = -4.0):
        super().__init__()
        self.logits = (heat_target(drawn.pixels, 4, SIZE, 0.55) + 1e-9).log()
        cells = torch.ones(1, 1, 4, 4)
        self.delta = delta_target(drawn.joints).flatten(1)[..., None, None] * cells
        self.location = drawn.joints.flatten(1)[..., None, None] * cells
        self.doubt = torch.full((len(drawn.joints), 21, 4, 4), doubt)

    def read(self, features: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        return self.logits, self.delta, self.location, self.doubt


def test_heat_peaks_in_the_joints_cell():
    pixels = torch.tensor([[[3.5, 3.5], [27.5, 11.5]]])
    heat = heat_target(pixels, 4, SIZE, 0.55)
    assert heat.shape == (1, 2, 4, 4)
    assert heat[0, 0, 0, 0] == heat[0, 1, 1, 3] == 1 == heat.max()


def test_bone_directions_are_unit_vectors_but_for_the_wrists(batch):
    bones = delta_target(batch.joints)
    assert (bones[:, 0] == 0).all()
    torch.testing.assert_close(bones[:, 1:].norm(dim=2), torch.ones(24, 20))
    phalanx = batch.joints[:, 6] - batch.joints[:, 5]
    torch.testing.assert_close(bones[:, 6] * phalanx.norm(dim=1, keepdim=True), phalanx)


def test_the_truth_has_the_least_loss(batch):
    loss, figures = lite_loss(Oracle(batch), batch, SIZE)
    assert figures["3d_mm"] < 1e-3
    for wrong in (batch.joints.roll(1, 0), batch.joints * torch.tensor([-1.0, 1.0, 1.0])):
        worse, figures = lite_loss(Oracle(replace(batch, joints=wrong)), batch, SIZE)
        assert worse > loss and figures["3d_mm"] > 10
    assert lite_loss(Oracle(replace(batch, pixels=batch.pixels + 6)), batch, SIZE)[0] > loss


@pytest.mark.parametrize("shown", ["nothing", "a left hand"])
def test_without_a_right_hand_the_joints_are_not_learnt_but_doubt_is(batch, shown):
    none, all_ = torch.zeros_like(batch.present), torch.ones_like(batch.present)
    other = replace(batch, present=none) if shown == "nothing" else replace(batch, mirrored=all_)
    elsewhere = replace(batch, joints=batch.joints.roll(1, 0))
    torch.testing.assert_close(lite_loss(Oracle(elsewhere), other, SIZE), lite_loss(Oracle(batch), other, SIZE))
    assert lite_loss(Oracle(batch, doubt=0.0), other, SIZE)[0] < lite_loss(Oracle(batch), other, SIZE)[0]
    assert lite_loss(Oracle(batch, doubt=0.0), batch, SIZE)[0] > lite_loss(Oracle(batch), batch, SIZE)[0]


def test_the_surface_seen_has_the_least_loss_and_left_hands_ask_for_none(batch):
    share = batch.surface[:, :1].float()
    where = batch.surface[:, 1:].float() / share.clamp_min(1e-3)
    truth = torch.cat([torch.logit(share.clamp(1e-4, 1 - 1e-4)), where], 1)
    least = surface_loss(truth, batch)
    for wrong in (truth.roll(1, 0), truth.flip(3), torch.cat([truth[:, :1], truth[:, 1:] + 0.2], 1)):
        assert surface_loss(wrong, batch) > least + 0.05
    left = replace(batch, mirrored=torch.ones_like(batch.mirrored))
    assert surface_loss(truth.roll(1, 0), left) == 0


def test_a_few_steps_lessen_the_loss(batch):
    torch.manual_seed(0)
    network = DetNetLite().train()
    optimiser = torch.optim.Adam(network.parameters(), 2e-3)
    losses = []
    for _ in range(12):
        loss, _ = lite_loss(network, batch, SIZE)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


def test_detnets_loss_reaches_all_of_its_weights(batch):
    torch.manual_seed(0)
    network = DetNet(0).train()
    two = SyntheticCrops(**{f.name: getattr(batch, f.name)[:2] for f in fields(SyntheticCrops)})
    loss, figures = training_loss(network, two, SIZE)
    loss.backward()
    assert loss.isfinite() and all(value.isfinite() for value in figures.values())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())
