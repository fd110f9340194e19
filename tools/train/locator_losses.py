"""The locator's losses: target maps of scenes, and the distance of predicted maps from them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hand.joints import JOINTS
from hand.synth.scenes import Scenes
from runtime.estimators.locator import STRIDE, LocatorMaps, LocatorNetwork
from tools.train.muon import Muon, muon


class LocatorStudent(nn.Module):
    """A locator with an auxiliary head for the joints, which improves its features; only the locator is kept."""

    def __init__(self, width: int):
        super().__init__()
        self.locator = LocatorNetwork(width)
        self.joints = nn.Conv2d(2 * width, 2 * JOINTS, 1)

    def optimiser(self, rate: float) -> Muon:
        """Muon between the layers that take pictures in and those that give maps out."""
        stem = self.locator.fine[0]
        return muon(self, (stem, self.locator.head, self.joints), rate)

    def forward(self, images: Tensor) -> tuple[LocatorMaps, Tensor]:
        """The locator's maps, and joints (N, 42, ·, ·) from the box's centre, in sides of the box."""
        features = self.locator.features(images)
        return self.locator.read(features), self.joints(features)


def targets(scenes: Scenes) -> tuple[Tensor, Tensor, Tensor]:
    """Centre heat (N, K, h, w) of each hand; way (N, K, h, w, 2) to its centre, cells; and the cells that count (N, 1, h, w)."""
    height, width = (side // STRIDE for side in scenes.images.shape[1:3])
    device = scenes.images.device
    place = (scenes.centres + 0.5) / STRIDE
    y, x = torch.meshgrid(torch.arange(height, device=device) + 0.5, torch.arange(width, device=device) + 0.5, indexing="ij")
    away = place[:, :, None, None] - torch.stack([x, y], -1)
    cells = scenes.sizes[..., None, None] / STRIDE
    # Nobody can tell a box's centre to a tenth of its side. A narrower peak would spread the score of large hands over
    # cells, and things that are small would come first.
    beyond = ((away**2).sum(-1).sqrt() - 0.1 * cells).clamp_min(0)
    heat = torch.exp(-((beyond / (0.1 * cells).clamp_min(0.5)) ** 2) / 2) * scenes.shown[..., None, None]
    # The cell that holds the centre is the peak, wherever in it the centre lies.
    holds = (away.abs().amax(-1) <= 0.5) & scenes.shown[..., None, None]
    heat = torch.where(holds, torch.ones_like(heat), heat)
    open_ = (beyond > 0.3 * cells) | ~scenes.unsure[..., None, None]
    return heat, away, open_.all(1, keepdim=True)


def locator_loss(maps: LocatorMaps, joints: Tensor, scenes: Scenes) -> tuple[Tensor, dict[str, Tensor]]:
    """Penalty-reduced focal loss of the centres (Zhou et al. 2019, eq. 1); side, size, offset and joints around them."""
    heat, away, counts = targets(scenes)
    target, owner = heat.max(1, keepdim=True)
    logit = maps.centre
    probability = logit.sigmoid()
    at_peak = (target >= 1).float()
    count = at_peak.sum().clamp_min(1)
    found = -((1 - probability) ** 2) * F.logsigmoid(logit) * at_peak
    false = -((1 - target) ** 4) * probability**2 * F.logsigmoid(-logit) * (1 - at_peak) * counts
    centre_loss = (found.sum() + false.sum()) / count
    # Where the peak is a cell off, its predictions must hold too.
    weight = torch.where(target > 0.3, target, torch.zeros_like(target))
    total = weight.sum().clamp_min(1)

    def of_owner(values: Tensor) -> Tensor:
        return values[:, :, None, None].expand(-1, -1, *target.shape[2:]).gather(1, owner)

    size_error = (maps.size - of_owner((scenes.sizes / STRIDE).clamp_min(0.3).log())).abs()
    offset_error = (maps.offset - away.gather(1, owner[..., None].expand(-1, -1, -1, -1, 2))[:, 0].permute(0, 3, 1, 2)).abs()
    side = of_owner(scenes.left.float())
    side_error = F.binary_cross_entropy_with_logits(maps.left, side, reduction="none")
    size_loss, offset_loss, side_loss = ((weight * error).sum() / total for error in (size_error, offset_error, side_error))
    where = ((scenes.joints - scenes.centres[:, :, None]) / scenes.sizes[..., None, None].clamp_min(1)).flatten(2)
    wanted = where[:, :, :, None, None].expand(-1, -1, -1, *target.shape[2:])
    wanted = wanted.gather(1, owner[:, :, None].expand(-1, -1, 2 * JOINTS, -1, -1))[:, 0]
    joint_loss = (weight * (joints - wanted).abs()).sum() / total / (2 * JOINTS)
    right_side = ((maps.left > 0) == (side > 0.5)).float()
    figures = {
        "centre": centre_loss.detach(),
        "size": size_loss.detach(),
        "joints": joint_loss.detach(),
        "side": (weight * right_side).sum().detach() / total,
    }
    return centre_loss + size_loss + 0.5 * offset_loss + side_loss + 10 * joint_loss, figures
