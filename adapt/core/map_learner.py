"""How networks with maps learn (DetNet, DetNet-lite): all of them but the batch-norms, from the crops, with heat as attention."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from adapt.core.losses import Loss, adaptation_loss
from adapt.core.synthetic_losses import DrawnLoss, drawn_loss
from adapt.core.targets import (
    GeometryLabelBatch,
    Recipe,
    Targets,
    ViewPredictions,
    delta_target,
    heat_target,
    location_target,
)
from hand.synth.crops import SyntheticCrops
from hand.synth.turn import Turn
from runtime.networks.detnet_lite import read_scalar
from runtime.networks.network import HandNetwork, Maps, map_network, normalise


@dataclass(frozen=True, slots=True)
class MapLearner:
    """A `Learner`."""

    keeps_inputs: ClassVar[bool] = False
    recipe: Recipe

    def trained(self, network: HandNetwork) -> list[nn.Parameter]:
        norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
        frozen = {id(parameter) for norm in norms for parameter in norm.parameters()}
        return [parameter for parameter in network.parameters() if id(parameter) not in frozen]

    def inputs(self, network: HandNetwork, images: Tensor) -> Tensor:
        return images

    def hands(self, network: HandNetwork, inputs: Tensor) -> Any:
        return network(inputs)

    def see(self, network: HandNetwork, inputs: Tensor) -> ViewPredictions:
        inside = map_network(network)
        maps = inside(normalise(inputs).contiguous(memory_format=torch.channels_last))
        decoded = inside.decode(maps, network.crop_size)
        return ViewPredictions(decoded.joints, decoded.confidence, maps)

    def agreed_targets(
        self, network: HandNetwork, joints: Tensor, visible: Tensor, seen: ViewPredictions, turn: Turn | None
    ) -> Targets:
        """With the teacher's heat."""
        inside, maps = map_network(network), _maps(seen)
        heat, joints = maps.heat, joints if turn is None else turn.vectors(joints)
        if turn is not None:
            heat = inside.normalise_heat(turn.pictures(heat, heat.shape[-1], "zeros"))
        return Targets(location_target(joints, inside.root), delta_target(joints), heat, visible, _log_error(maps))

    def geometry_targets(
        self, network: HandNetwork, joints: Tensor, label: GeometryLabelBatch, seen: ViewPredictions, turn: Turn | None
    ) -> Targets:
        """With heat around the labelled pixels; a joint outside of its crop has none."""
        inside, maps, size = map_network(network), _maps(seen), network.crop_size
        joints = joints if turn is None else turn.vectors(joints)
        pixels = label.pixels if turn is None else turn.pixels(label.pixels, size, size)
        within = ((pixels > -0.5) & (pixels < size - 0.5)).all(-1)
        heat = heat_target(pixels, maps.heat.shape[-1], size, inside.heat_sigma)
        heat = inside.normalise_heat(heat * within[..., None, None])
        location, delta = location_target(joints, inside.root), delta_target(joints)
        read = pixels if self.recipe.pixel_term else None
        return Targets(location, delta, heat, within, _log_error(maps), label.weight, read)

    def loss(self, network: HandNetwork, inputs: Tensor, targets: list[Any]) -> Loss:
        return adaptation_loss(map_network(network), inputs, targets)

    def drawn_loss(self, network: HandNetwork, drawn: SyntheticCrops, inputs: Tensor | None) -> DrawnLoss:
        return drawn_loss(map_network(network), drawn, network.crop_size)


def _maps(seen: ViewPredictions) -> Maps:
    assert isinstance(seen.guide, Maps)
    return seen.guide


def _log_error(maps: Maps) -> Tensor | None:
    return None if maps.log_error is None else read_scalar(maps.log_error, maps.heat)
