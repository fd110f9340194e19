"""The engine that runs a network in torch: the reference for the parity check of the others."""

from copy import deepcopy

import numpy as np
import torch
from torch import Tensor

from runtime.engines.engine import Precision, Predictions, check_images, prediction_names
from runtime.engines.parity import check
from runtime.networks.network import HandNetwork, fuse_batch_norms
from runtime.networks.weights import Manifest

GRAPHED = 12
"""Largest batch with a CUDA graph: three boxes in each of two views, as both sides."""


class TorchEngine:
    """Runs the network in torch, on the GPU where there is one.

    `threads` sets torch's thread count for the whole process; None leaves it.
    """

    def __init__(
        self,
        network: HandNetwork,
        manifest: Manifest,
        *,
        threads: int | None = None,
        device: str | None = None,
        precision: Precision = "fp32",
    ):
        """`network` is taken over: its batch-norms are folded. `precision`: fp32, or bf16, for processors that multiply it."""
        assert precision in ("fp32", "bf16"), precision
        if threads is not None:
            torch.set_num_threads(threads)
        self.manifest = manifest
        self.device = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
        self.precision: Precision = precision
        self.description = f"torch on {self.device.type}" + ("" if precision == "fp32" else f" in {precision}")
        self._network = fuse_batch_norms(network).to(self.device)
        self._graphs: dict[int, _Graphed] = {}

    def __call__(self, images: np.ndarray) -> Predictions:
        check_images(images, self.manifest.crop_size)
        with torch.inference_mode(), torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            outputs = self._run(torch.from_numpy(images))
        return Predictions.of({name: value.float().cpu().numpy() for name, value in outputs.items()})

    def refitted(self, network: HandNetwork, manifest: Manifest) -> "TorchEngine":
        engine = TorchEngine(deepcopy(network), manifest, device=str(self.device), precision=self.precision)
        engine.description = self.description
        if self.precision != "fp32":
            check(engine, self.precision, network, manifest.crop_size, self.description)
        return engine

    def _run(self, images: Tensor) -> dict[str, Tensor]:
        """Predictions by name."""
        if self.device.type != "cuda":
            return _predicted(self._network, images)
        # Short floats of 19 bits (TF32), which cuDNN takes unless told otherwise, are not float32.
        with torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
            if len(images) > GRAPHED:
                return _predicted(self._network, images.to(self.device))
            if len(images) not in self._graphs:
                self._graphs[len(images)] = _Graphed(self._network, images.to(self.device))
            return self._graphs[len(images)](images)


def _predicted(network: HandNetwork, images: Tensor) -> dict[str, Tensor]:
    outputs = network(images)._asdict()
    return {name: outputs[name] for name in prediction_names(outputs)}


class _Graphed:
    """A network's run on one size of batch, recorded as a CUDA graph: no call into the driver for each layer."""

    def __init__(self, network: HandNetwork, images: Tensor):
        self._images = images.clone()
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            # cuDNN chooses its algorithms in the first runs; none may fall into the recording.
            for _ in range(3):
                network(self._images)
        torch.cuda.current_stream().wait_stream(stream)
        self._graph = torch.cuda.CUDAGraph()
        # Another engine may be made on another thread meanwhile.
        with torch.cuda.graph(self._graph, capture_error_mode="thread_local"):
            self._output = _predicted(network, self._images)

    def __call__(self, images: Tensor) -> dict[str, Tensor]:
        self._images.copy_(images)
        self._graph.replay()
        return self._output
