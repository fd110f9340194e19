"""What a camera does to an image: exposure, white balance, blur, noise, JPEG, batched in torch on linear RGB (N, 3, H, W)."""

import math

import torch
from torch.nn.functional import avg_pool2d, conv2d, interpolate, pad

# JPEG's standard luminance table (ITU T.81, table K.1), used for chrominance as well.
_QUANT = (
    (16, 11, 10, 16, 24, 40, 51, 61), (12, 12, 14, 19, 26, 58, 60, 55), (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62), (18, 22, 37, 56, 68, 109, 103, 77), (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101), (72, 92, 95, 98, 112, 100, 103, 99),
)  # fmt: skip
_YCC = ((0.299, 0.587, 0.114), (-0.1687, -0.3313, 0.5), (0.5, -0.4187, -0.0813))


class Camera:
    """Random cameras: each image of a batch gets its own."""

    def __init__(self, generator: torch.Generator, device: torch.device):
        self._generator, self._device = generator, device

    def _uniform(self, n: int, *shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=self._generator, device=self._device)

    def expose(self, light: torch.Tensor) -> torch.Tensor:
        """Linear light to an sRGB-like picture in [0, 1]: exposure, white balance, contrast, saturation, grey cameras."""
        n = len(light)
        mean = light.mean((1, 2, 3), keepdim=True)
        target = 0.06 * (0.28 / 0.06) ** self._uniform(n, 1, 1, 1)
        blend = 0.3 + 0.7 * self._uniform(n, 1, 1, 1)
        gain = (target / mean.clamp_min(1e-3)) ** blend
        balance = 1 + (self._uniform(n, 3, 1, 1) - 0.5) * 0.3
        image = (light * gain * balance).clamp_min(0)
        # A shoulder instead of a hard clip, as cameras have.
        image = torch.where(image > 0.8, 0.8 + 0.2 * torch.tanh((image - 0.8) / 0.35), image)
        image = image.clamp_min(1e-5) ** (1 / 2.2)
        contrast = 0.75 + 0.5 * self._uniform(n, 1, 1, 1)
        centre = image.mean((1, 2, 3), keepdim=True)
        image = (image - centre) * contrast + centre
        grey = (image * image.new_tensor(_YCC[0])[:, None, None]).sum(1, keepdim=True)
        saturation = 0.5 + 0.9 * self._uniform(n, 1, 1, 1)
        saturation = torch.where(self._uniform(n, 1, 1, 1) < 0.12, torch.zeros_like(saturation), saturation)
        return (grey + (image - grey) * saturation).clamp(0, 1)

    def blur(self, image: torch.Tensor) -> torch.Tensor:
        """Defocus and motion blur on about 45 % of the images, up to about 3 % of the width; lost resolution on some more."""
        n, channels, height, width = image.shape
        scale = width / 64
        radius = max(2, round(2.5 * scale))
        span = torch.arange(-radius, radius + 1, device=image.device, dtype=image.dtype)
        sigma = (0.3 + 0.9 * self._uniform(n)) * scale
        sigma = torch.where(self._uniform(n) < 0.3, sigma, torch.full_like(sigma, 0.05))
        length = torch.where(self._uniform(n) < 0.15, self._uniform(n) * 2.2 * scale, torch.zeros_like(sigma))
        angle = self._uniform(n) * math.pi
        x, y = span[None, None, :], span[None, :, None]
        along = x * angle.cos()[:, None, None] + y * angle.sin()[:, None, None]
        across = y * angle.cos()[:, None, None] - x * angle.sin()[:, None, None]
        wide = (sigma**2 + length**2)[:, None, None]
        kernel = torch.exp(-(along**2) / (2 * wide) - across**2 / (2 * sigma[:, None, None] ** 2))
        kernel = kernel / kernel.sum((1, 2), keepdim=True)
        touched = ((sigma > 0.1) | (length > 0)).nonzero()[:, 0]
        if len(touched):
            kernels = kernel[touched].repeat_interleave(channels, 0)[:, None]
            padded = pad(image[touched].reshape(1, -1, height, width), (radius,) * 4, mode="reflect")
            image = image.clone()
            image[touched] = conv2d(padded, kernels, groups=len(kernels)).view(len(touched), channels, height, width)
        coarse = (self._uniform(n) < 0.12).nonzero()[:, 0]
        if len(coarse):
            small = interpolate(image[coarse], scale_factor=0.5, mode="area")
            image = image.clone()
            image[coarse] = interpolate(small, size=(height, width), mode="bilinear", align_corners=False)
        return image

    def noise(self, image: torch.Tensor) -> torch.Tensor:
        """Sensor noise: more in dark parts, partly in colour."""
        n = len(image)
        strength = 0.05 * self._uniform(n, 1, 1, 1) ** 2
        draw = torch.randn(image.shape, generator=self._generator, device=image.device)
        return image + strength * draw * (1.3 - image)

    def jpeg(self, image: torch.Tensor) -> torch.Tensor:
        """What quantising 8×8 cosine blocks loses, at qualities from 25 to 95, on about 60 % of the images.

        Height and width divisible by 16.
        """
        chosen = (self._uniform(len(image)) < 0.6).nonzero()[:, 0]
        quality = 25 + 70 * self._uniform(len(image))[chosen]
        if not len(chosen):
            return image
        scale = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None, None, None, None]
        table = image.new_tensor(_QUANT) / 255
        ycc = torch.einsum("dc,nchw->ndhw", image.new_tensor(_YCC), image[chosen])
        luma = _quantise(ycc[:, :1], table * scale)
        chroma = interpolate(_quantise(avg_pool2d(ycc[:, 1:], 2), table * scale * 1.4), scale_factor=2.0)
        back = torch.linalg.inv(image.new_tensor(_YCC))
        image = image.clone()
        image[chosen] = torch.einsum("dc,nchw->ndhw", back, torch.cat([luma, chroma], 1))
        return image

    def shoot(self, light: torch.Tensor) -> torch.Tensor:
        """All of it: linear light (N, 3, H, W) to a uint8 picture (N, H, W, 3)."""
        image = self.jpeg(self.noise(self.blur(self.expose(light))))
        return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _quantise(plane: torch.Tensor, table: torch.Tensor) -> torch.Tensor:
    """`plane` (N, C, H, W) after rounding its 8×8 cosine coefficients to multiples of `table` (N, 1, 1, 8, 8)."""
    n, c, height, width = plane.shape
    k = torch.arange(8, device=plane.device, dtype=plane.dtype)
    basis = torch.cos((2 * k + 1) * k[:, None] * math.pi / 16) * torch.where(k == 0, 0.5**0.5, 1.0)[:, None] / 2
    blocks = plane.reshape(n, c, height // 8, 8, width // 8, 8).permute(0, 1, 2, 4, 3, 5).flatten(2, 3)
    coefficients = basis @ blocks @ basis.T
    rounded = (coefficients / table).round() * table
    blocks = (basis.T @ rounded @ basis).unflatten(2, (height // 8, width // 8))
    return blocks.permute(0, 1, 2, 4, 3, 5).reshape(n, c, height, width)
