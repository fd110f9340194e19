"""Muon (Jordan et al. 2024): momentum whose singular values are all made alike, for the weights between a network's ends.

Such a weight changes in all of its directions at one rate, so fewer pictures are needed. Updates are scaled as in Liu et
al. 2025 ("Muon is scalable for LLM training", section 2.2), so that AdamW's rates and decay hold for both.
"""

import torch
from torch import Tensor, nn

ROUNDS = 5
_A, _B, _C = 3.4445, -4.7750, 2.0315
"""Coefficients of the quintic iteration, from Jordan et al."""


def orthogonal(matrix: Tensor) -> Tensor:
    """About U Vᵀ of `matrix` = U S Vᵀ (rows, columns), by a Newton-Schulz iteration; singular values end in about [0.7, 1.2].

    The iteration x ← (A + B x xᵀ + C (x xᵀ)²) x is followed in x xᵀ alone, whose side is the shorter one.
    """
    x = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = x / (x.norm() + 1e-7)
    gram = x @ x.T
    product = one = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(ROUNDS):
        factor = _A * one + _B * gram + _C * gram @ gram
        product = factor @ product
        gram = factor @ gram @ factor
    x = product @ x
    return x.T if matrix.shape[0] > matrix.shape[1] else x


def inner_weights(module: nn.Module, ends: tuple[nn.Module, ...]) -> list[Tensor]:
    """Weights of the convolutions and linear layers of `module`, but for those of its first and last layers, `ends`."""
    outer = {id(weight) for end in ends for weight in end.parameters()}
    layers = (m for m in module.modules() if isinstance(m, nn.Conv2d | nn.Linear))
    return [layer.weight for layer in layers if id(layer.weight) not in outer]


def muon(module: nn.Module, ends: tuple[nn.Module, ...], lr: float) -> "Muon":
    """Muon for what lies between the `ends` of `module`, AdamW for the rest of its weights."""
    inner = inner_weights(module, ends)
    chosen = {id(weight) for weight in inner}
    return Muon(inner, [weight for weight in module.parameters() if id(weight) not in chosen], lr)


class Muon(torch.optim.Optimizer):
    """Muon for `inner` weights, their axes from the second on taken as one; AdamW for all `others`."""

    def __init__(
        self,
        inner: list[Tensor],
        others: list[Tensor],
        lr: float,
        weight_decay: float = 0.01,
        momentum: float = 0.95,
        betas: tuple[float, float] = (0.9, 0.98),
    ):
        groups = [{"params": inner, "orthogonal": True}, {"params": others, "orthogonal": False}]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay, "momentum": momentum, "betas": betas})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is None:
                    continue
                weight.mul_(1 - group["lr"] * group["weight_decay"])
                update = (self._orthogonal if group["orthogonal"] else self._adam)(weight, weight.grad, group)
                weight.add_(update, alpha=-group["lr"])

    def _orthogonal(self, weight: Tensor, gradient: Tensor, group: dict) -> Tensor:
        state = self.state[weight]
        if not state:
            state["mean"] = torch.zeros_like(weight)
        mean = state["mean"].lerp_(gradient, 1 - group["momentum"])
        update = gradient.lerp(mean, group["momentum"]).flatten(1)
        return orthogonal(update).reshape(weight.shape) * (0.2 * max(update.shape) ** 0.5)

    def _adam(self, weight: Tensor, gradient: Tensor, group: dict) -> Tensor:
        """AdamW's update (Loshchilov and Hutter 2019)."""
        state = self.state[weight]
        if not state:
            state |= {"step": torch.zeros(()), "mean": torch.zeros_like(weight), "square": torch.zeros_like(weight)}
        first, second = group["betas"]
        state["step"] += 1
        mean = state["mean"].lerp_(gradient, 1 - first) / (1 - first ** state["step"].item())
        square = state["square"].lerp_(gradient * gradient, 1 - second) / (1 - second ** state["step"].item())
        return mean / (square.sqrt() + 1e-8)
