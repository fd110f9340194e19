"""Geometry of sleeves: forearms are widened below the cuff, with folds, by each hand's appearance."""

import torch
from torch.nn.functional import normalize

from hand.model import HandModel
from hand.synth.appearance import Appearance

_CUFF = 0.04
"""Length over which a cuff rises from the skin, unit hands."""


def sleeved(vertices: torch.Tensor, model: HandModel, appearance: Appearance) -> torch.Tensor:
    """Posed skin (N, V, 3), hand axes, with sleeves in place of the covered arm; bare arms are unchanged."""
    along_rest = model.vertices[:, 1]
    forearm = (along_rest < 0).nonzero()[:, 0]
    elbow = (along_rest < along_rest.min() + 0.1).nonzero()[:, 0]
    axis = normalize(vertices[:, elbow].mean(1), dim=1)
    arm = vertices[:, forearm]
    along = (arm * axis[:, None]).sum(-1, keepdim=True)
    outwards = normalize(arm - along * axis[:, None], dim=-1)
    below = appearance.sleeve[:, None] - along_rest[forearm]
    phase = appearance.offset[:, :1] * 2 * torch.pi
    folds = 1 + 0.3 * torch.sin(below * (9 + 12 * appearance.offset[:, 1:2]) + phase + 1.5 * outwards[..., 0])
    thick = appearance.looseness[:, None] * folds * (below / _CUFF).clamp(0, 1)
    vertices = vertices.clone()
    vertices[:, forearm] = arm + thick[..., None] * outwards
    return vertices
