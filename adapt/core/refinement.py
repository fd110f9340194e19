"""Rotation-guided refinement (S2DHand, section 3.3): the hands nearest to both views' that are turned to each other by exactly R.

The published code walks towards such hands by 20 iterations of BFGS with numeric gradients. The nearest ones have a closed form.
With a = R left and b = right, R is the rotation that fits a stationary pair of hands exactly where Σ w_j a_j × b_j = 0. Lagrange:
nearest are a' = a + λ × b' and b' = b − λ × a', one λ (3,) for all joints, or, solved for both,

    a' = D (a + λ × b),  b' = D (b − λ × a),  D x = x − λ × (λ × x) / (1 − |λ|²).

Put into the condition, all that remains of the joints are c = Σ w a × b and T = Σ w (|a|² + |b|²) I − a aᵀ − b bᵀ:

    (T − μ I) λ = c,  μ = λ · c.

In the eigenvectors of T that is one equation for μ, f(μ) = Σ c_i² / (t_i − μ) − μ = 0, with f convex and f' = |λ|² − 1. Up to
|λ| = 1 the Lagrangian is convex, so that the least root is the nearest pair of hands there is.
"""

import torch
from torch import Tensor

from adapt.core.batch_rotation import correlation
from capture.views import PerView

ITERATIONS = 8
"""Newton steps from μ = 0; they rise monotonically to the root, twice as many digits each."""
_MAX_TURN = 0.9
"""|λ| beyond which the hands, turned by about 2 arctan |λ| (84°) too much or too little, are unrelated."""


def refine(joints: PerView[Tensor], R_right_from_left: Tensor, weight: Tensor) -> PerView[Tensor]:
    """The hands (N, 21, 3) in each camera's axes with rot = R for which Σ w_j (‖Δleft_j‖² + ‖Δright_j‖²) is least.

    `joints` (N, 21, 3) of one root, about which they turn, and one scale; `weight` (N, 21), by which rot is taken too. Joints
    without weight go with the others. Hands that are turned to each other too far from R become their mean.
    """
    a, b = joints.left @ R_right_from_left.mT, joints.right
    weighted_a, weighted_b = a * weight[..., None], b * weight[..., None]
    c = torch.linalg.cross(weighted_a, b).sum(1)
    second = weighted_a.mT @ a + weighted_b.mT @ b
    identity = torch.eye(3, dtype=a.dtype, device=a.device)
    t, V = torch.linalg.eigh(second.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None] * identity - second)
    t = t.clamp_min(1e-12)
    in_eigenvectors, found = _multiplier((c[:, None] @ V)[:, 0], t)
    lam = (V @ in_eigenvectors[..., None])[:, None, :, 0]
    squared = (lam**2).sum(-1, keepdim=True)

    def spread(x: Tensor) -> Tensor:
        return x - _cross(lam, _cross(lam, x)) / (1 - squared)

    turned = PerView(spread(a + _cross(lam, b)), spread(b - _cross(lam, a)))
    # Stationary is not enough: it is the best fit, not the worst, where no turn about any axis brings the hands nearer.
    A = correlation(turned, weight)
    stiffness = torch.linalg.eigvalsh(A.diagonal(dim1=1, dim2=2).sum(-1)[:, None, None] * identity - (A + A.mT) / 2)
    near = found & (stiffness[:, :1] > 0)
    mean = (a + b) / 2
    refined = turned.map(lambda x: torch.where(near[..., None], x, mean))
    return PerView(refined.left @ R_right_from_left, refined.right)


def _multiplier(c: Tensor, t: Tensor) -> tuple[Tensor, Tensor]:
    """(N, 3) λ, zero where there is no root or it is too long, and (N, 1) whether there is one.

    Of c (N, 3) in T's eigenvectors and its eigenvalues t (N, 3), ascending.
    """
    mu = torch.zeros_like(c[:, :1])
    for _ in range(ITERATIONS):
        rest = t - mu
        f = (c**2 / rest).sum(-1, keepdim=True) - mu
        slope = ((c / rest) ** 2).sum(-1, keepdim=True) - 1
        mu = torch.where(slope < 0, mu - f / slope, mu)
    lam = c / (t - mu)
    found = (mu < t[:, :1]) & ((lam**2).sum(-1, keepdim=True) <= _MAX_TURN**2)
    return torch.where(found, lam, 0), found


def _cross(a: Tensor, b: Tensor) -> Tensor:
    return torch.linalg.cross(a.expand_as(b), b)
