"""Camera simulation: lens, exposure, white balance, blur, sharpening, noise, JPEG, batched in torch."""

import math
from collections.abc import Callable

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
    """Random cameras, one for each image of a batch."""

    def __init__(self, generator: torch.Generator, device: torch.device):
        self._generator, self._device = generator, device

    def _uniform(self, n: int, *shape: int) -> torch.Tensor:
        return torch.rand(n, *shape, generator=self._generator, device=self._device)

    def vignette(self, light: torch.Tensor) -> torch.Tensor:
        """Vignetting on a fifth of the images; a crop is a part of the frame."""
        n, side = len(light), light.shape[-1]
        chosen = (self._uniform(n) < 0.2).nonzero()[:, 0]
        if not len(chosen):
            return light
        k = len(chosen)
        # The frame is one to four crops wide, and the crop anywhere in it.
        span = torch.linspace(-1, 1, side, device=light.device)
        frame, place = 1 + 3 * self._uniform(k, 1), self._uniform(k, 2) * 2 - 1
        x, y = ((span + place[:, i : i + 1] * (frame - 1)) / frame for i in (0, 1))
        tangent = (x[:, None] ** 2 + y[:, :, None] ** 2) * (0.2 + 0.8 * self._uniform(k, 1, 1))
        light = light.clone()
        # Light falls with the fourth power of the cosine.
        light[chosen] *= (1 / (1 + tangent) ** 2)[:, None]
        return light

    def expose(self, light: torch.Tensor) -> torch.Tensor:
        """Linear light to sRGB-like images in [0, 1]: exposure, white balance, contrast, saturation, monochrome cameras."""
        n = len(light)
        mean = light.mean((1, 2, 3), keepdim=True)
        target = 0.06 * (0.4 / 0.06) ** self._uniform(n, 1, 1, 1)
        blend = 0.3 + 0.7 * self._uniform(n, 1, 1, 1)
        gain = (target / mean.clamp_min(1e-3)) ** blend
        balance = 1 + (self._uniform(n, 3, 1, 1) - 0.5) * 0.3
        image = (light * gain * balance).clamp_min(0)
        # A soft shoulder instead of hard clipping.
        image = torch.where(image > 0.8, 0.8 + 0.2 * torch.tanh((image - 0.8) / 0.35), image)
        image = image.clamp_min(1e-5) ** (1 / 2.2)
        contrast = 0.8 + 0.6 * self._uniform(n, 1, 1, 1)
        centre = image.mean((1, 2, 3), keepdim=True)
        image = (image - centre) * contrast + centre
        # Colour cameras share the luminance weights; monochrome sensors are more sensitive to red and infrared.
        mono = self._uniform(n, 1, 1, 1) < 0.15
        red = image.new_tensor([0.7, 0.2, 0.1])[:, None, None]
        weights = torch.where(mono, self._uniform(n, 1, 1, 1), 0.0)
        weights = torch.lerp(image.new_tensor(_YCC[0])[:, None, None].expand(n, 3, 1, 1), red, weights)
        grey = (image * weights).sum(1, keepdim=True)
        saturation = 0.4 + 0.8 * self._uniform(n, 1, 1, 1)
        saturation = torch.where(mono, torch.zeros_like(saturation), saturation)
        return (grey + (image - grey) * saturation).clamp(0, 1)

    def blur(self, image: torch.Tensor) -> torch.Tensor:
        """Defocus and motion blur on about 45 % of the images, up to about 3 % of the width; halved resolution on some more."""
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

    def sharpen(self, image: torch.Tensor) -> torch.Tensor:
        """Unsharp masking on a quarter of the images, as in webcams."""
        chosen = (self._uniform(len(image)) < 0.25).nonzero()[:, 0]
        if not len(chosen):
            return image
        some = image[chosen]
        soft = avg_pool2d(pad(some, (1,) * 4, mode="replicate"), 3, 1)
        image = image.clone()
        image[chosen] = some + (0.2 + 0.9 * self._uniform(len(chosen), 1, 1, 1)) * (some - soft)
        return image

    def noise(self, image: torch.Tensor) -> torch.Tensor:
        """Sensor noise: more in dark parts, strong in few images, low-pass filtered for half of the cameras.

        Most crops are downscaled from their frames, which leaves little of the frames' noise.
        """
        n = len(image)
        strength = 0.035 * self._uniform(n, 1, 1, 1) ** 3
        sample = torch.randn(image.shape, generator=self._generator, device=image.device)
        sample = torch.where(_is_grey(image), sample[:, :1], sample)
        smeared = (self._uniform(n) < 0.5).nonzero()[:, 0]
        if len(smeared):
            # The mean of nine has a third of the deviation; filtered noise is weaker than white noise, but not as weak.
            sample[smeared] = 1.8 * avg_pool2d(sample[smeared], 3, 1, 1)
        return image + strength * sample * (1.3 - image)

    def jpeg(self, image: torch.Tensor) -> torch.Tensor:
        """JPEG artefacts of quantised 8×8 DCT blocks, at qualities from 30 to 95, on about 40 % of the images.

        Height and width divisible by 16.
        """
        chosen = (self._uniform(len(image)) < 0.4).nonzero()[:, 0]
        quality = 30 + 65 * self._uniform(len(image))[chosen]
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

    def shoot(self, light: torch.Tensor, between: Callable[[torch.Tensor], torch.Tensor] | None = None) -> torch.Tensor:
        """The whole camera: linear light (N, 3, H, W) to uint8 images (N, H, W, 3).

        `between` may change the exposed images, sRGB in [0, 1], before noise and compression.
        """
        image = self.blur(self.expose(self.vignette(light)))
        if between:
            changed = between(image)
            image = torch.where(_is_grey(image), changed.mean(1, keepdim=True), changed)
        image = self.jpeg(self.noise(self.sharpen(image)))
        return (image.clamp(0, 1) * 255 + 0.5).to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _is_grey(image: torch.Tensor) -> torch.Tensor:
    """(N, 1, 1, 1) bool: images of monochrome cameras."""
    return ((image.amax(1) - image.amin(1)).amax((1, 2)) < 1e-4)[:, None, None, None]


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
