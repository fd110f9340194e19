"""The engine that runs a network's graph in ONNX Runtime: float32, or int8 by a plan; float32 on a GPU where its package is."""

import logging

import numpy as np
import onnx
import onnxruntime

from hand.errors import UserError
from runtime.engines.engine import Precision, Predictions, check_images, prediction_names
from runtime.engines.int8 import Plan, quantize
from runtime.engines.parity import check
from runtime.engines.refused import EngineRefused
from runtime.networks.graph import INPUT, Weights, fill_weights, graph_of, weights_of
from runtime.networks.network import HandNetwork
from runtime.networks.weights import Manifest

log = logging.getLogger(__name__)


class OnnxEngine:
    """Runs one network; checked against torch when it is made."""

    def __init__(
        self,
        network: HandNetwork,
        manifest: Manifest,
        *,
        plan: Plan | None = None,
        threads: int | None = None,
        gpu: bool = True,
        checked: bool = True,
    ):
        """With a `plan`, in int8, on the CPU. `threads`: of a CPU; None takes all. `gpu`: use one where the package can.

        `checked`: run the parity check; only benchmarks leave it out.

        `network` stays as it is. Raises EngineRefused where the graph cannot be had, or the engine fails the parity check.
        """
        self.manifest = manifest
        self._plan, self._threads, self._checked = plan, threads, checked
        self._providers = _providers(gpu and plan is None)
        weights = weights_of(network)
        try:
            graph = graph_of(manifest, weights)
        except UserError as error:
            raise EngineRefused(str(error)) from error
        self._session = self._make_session(graph, weights)
        device = "cpu" if self._session.get_providers()[0] == "CPUExecutionProvider" else "cuda"
        if device == "cpu" and len(self._providers) > 1:
            # ONNX Runtime says so on a log that is switched off, and goes on.
            log.warning(
                "onnxruntime-gpu is installed but cannot use the GPU, so onnx runs on the CPU: see whether its CUDA and cuDNN "
                "versions are installed"
            )
        self.description = f"{'onnx' if plan is None else 'onnx-int8'} on {device}"
        precision: Precision = "fp32" if plan is None else "int8"
        self.parity = check(self, precision, network, manifest.crop_size, self.description) if checked else None

    def __call__(self, images: np.ndarray) -> Predictions:
        check_images(images, self.manifest.crop_size)
        return run_session(self._session, images)

    def refitted(self, network: HandNetwork, manifest: Manifest) -> "OnnxEngine":
        gpu = self._providers[0] != "CPUExecutionProvider"
        engine = OnnxEngine(network, manifest, plan=self._plan, threads=self._threads, gpu=gpu, checked=self._checked)
        engine.description = self.description
        return engine

    def _make_session(self, graph: onnx.ModelProto, weights: Weights) -> onnxruntime.InferenceSession:
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if self._threads is not None:
            options.intra_op_num_threads = self._threads
        # A thread that spins for work takes the core from the cameras and the viewer.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        if self._plan is not None:
            model = quantize(fill_weights(graph, weights, self.manifest), self._plan)
        else:
            # Handed over as they are: writing them into the model first would hold the interpreter, and the stream with it.
            options.add_external_initializers(
                list(weights), [onnxruntime.OrtValue.ortvalue_from_numpy(value) for value in weights.values()]
            )
            model = graph
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=self._providers)


def run_session(session: onnxruntime.InferenceSession, images: np.ndarray) -> Predictions:
    """Predictions of a network's graph for crops (N, S, S, 3) uint8."""
    names = prediction_names(output.name for output in session.get_outputs())
    values = map(np.asarray, session.run(names, {INPUT: images}))
    return Predictions.of(dict(zip(names, values, strict=True)))


def _providers(gpu: bool) -> list[str | tuple[str, dict[str, str]]]:
    """What runs the graph, most wanted first."""
    cuda = gpu and "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    # Its short floats of 19 bits (TF32) are not float32.
    return [*([("CUDAExecutionProvider", {"use_tf32": "0"})] if cuda else []), "CPUExecutionProvider"]
