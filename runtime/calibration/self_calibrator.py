"""Self-calibration of two cameras: collects keyframes, decides when to solve, and accepts or rejects the solutions.

Without threads or clocks: it is given pairs and solutions. `runtime.calibration.solver_process` solves its problems.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from capture.views import PerView, View
from hand.camera import DEFAULT_FOV_DEG, PinholeCamera
from hand.joints import DEFAULT_HAND_SIZE_MM
from runtime.calibration.acceptance import confirms, figures_of, rejection_reason, views_agree
from runtime.calibration.bundle import Keypoints
from runtime.calibration.given_check import GivenCheck
from runtime.calibration.held_out import HeldOutPairs
from runtime.calibration.hypotheses import GivenCalibration
from runtime.calibration.initialization import CameraEstimate
from runtime.calibration.keyframes import Keyframe, KeyframeBuffer, keyframe_of
from runtime.calibration.motion_monitor import MOVED_NS, MotionMonitor
from runtime.calibration.solver import Problem, Solution
from runtime.calibration.status import CalibrationPhase, CalibrationStatus, Uncertainty
from runtime.calibration.variables import Prior
from runtime.geometry.lens import Lens
from runtime.geometry.two_view import TwoViewGeometry
from runtime.types import ViewHand

FIRST_PAIRS, FIRST_NS = 20, 800_000_000
"""Keyframes, and time since the first pair, before the first problem."""
SOLVE_INTERVAL_NS, REFINE_INTERVAL_NS = 1_000_000_000, 6_000_000_000
"""Between two problems: the least, and, once cameras are known, the longest that new pairs wait."""
EVIDENCE_GROWTH = 1.25
"""Once cameras are known, the next problem comes sooner where so many times the evidence of the last one is there: often while
there is little, ever more rarely later."""
MIN_TRAVEL = 0.2
"""Hands; minimum motion of the joints, as views repeat the same errors on a still hand."""
NEW_PAIRS = 6
"""Pairs since the last problem that a new one needs."""
SEARCH_EVERY = 2
"""Once the cameras are known, one problem in so many searches other initializations too."""
KEEP_LEAD, REPLACE_LEAD = 2.0, 3.0
"""Standard errors by which the cameras in use must explain held-out pairs better to be kept against a solution that is accepted,
and by which that must explain them better to replace other cameras before a second one agrees."""
FOCAL_SIGMA, EQUAL_SIGMA = 0.35, 0.1
"""Standard deviations of focal lengths about that of 60°, and of their difference for cameras that seem to be equal, logarithmic:
biased landmarks make equal cameras look unequal, and unequal ones that are taken for equal displace the baseline."""
BONE_SIGMA, BONE_NOISE = 0.1, 0.05
FROZEN_SHARE = 0.01
"""A view whose hand moves by less than this share of its motion in the other view is frozen."""


@dataclass(frozen=True, slots=True)
class CalibrationState:
    """The calibration in use."""

    geometry: TwoViewGeometry | None = None
    """None until a calibration is accepted."""
    bones: np.ndarray | None = None
    """(20,) the hand's bone lengths, in hands."""
    uncertainty: Uncertainty | None = None
    """Of a given calibration None until hands have confirmed it."""
    version: int = 0
    """Grows with every new geometry."""
    moved: int = 0
    """How often a camera was found to have been moved."""
    pairs: int = 0
    """Number of keyframes that it was solved on."""
    contradicted: bool = False
    """Whether hands show that the cameras are not where a given calibration has them."""
    lenses: PerView[Lens] | None = None
    """Those of a corrected calibration; None where frames are undistorted as they were at the start."""


class SelfCalibrator:
    """The geometry of two cameras from the hands that they see."""

    def __init__(
        self,
        sizes_px: PerView[tuple[int, int]],
        fov_deg: PerView[float | None],
        hand_size_mm: float = DEFAULT_HAND_SIZE_MM,
        *,
        bones: np.ndarray | None = None,
        remembered: TwoViewGeometry | None = None,
        given: TwoViewGeometry | None = None,
        lenses: PerView[Lens] | None = None,
        fix: bool = False,
    ):
        """`fov_deg`: horizontal fields of view that are known; the others are estimated. `bones` (20,): prior lengths, the hand
        model's if not given. `remembered`: an earlier run's geometry, used once a solution confirms it. `given`: a user's
        calibration, which replaces all that; it is tested, and only the hand's bones are estimated. `lenses`: its lenses, with
        the frames' sizes; None for those of `given`'s cameras. `fix`: whether it is corrected where a usual mistake was made.
        """
        self._hand_size_mm = hand_size_mm
        self._bones = mean_bone_lengths() if bones is None else bones
        self._fixed = given is not None
        known = given or remembered
        self._cameras = given.cameras if given else PerView.of(lambda view: _camera(sizes_px[view], fov_deg[view]))
        self._prior = self._make_prior(fov_deg)
        self._remembered = self._known = None if known is None else self._estimate_of(known, fov_deg)
        self._buffer: KeyframeBuffer[Keyframe] = KeyframeBuffer(sizes_px.map(lambda size: size[0]))
        self._held_out = HeldOutPairs(sizes_px.map(lambda size: size[0]))
        self._evidence = self._solved_evidence = 0.0
        """Sum of the squared distances of all keyframes so far from those before, each at most 1; and at the last problem."""
        self._last_solution: Solution | None = None
        self._monitor: MotionMonitor | None = None
        self._solving = False
        self._epoch = 0
        self._submitted_ns: int | None = None
        self._first_ns: int | None = None
        self._new_pairs = self._solved = 0
        self.state = CalibrationState()
        self._status = CalibrationStatus()
        self._check: GivenCheck | None = None
        self._claim: GivenCalibration | None = None
        """The given calibration that is in use."""
        if given is not None:
            claim = GivenCalibration.of(given)
            claim = claim if lenses is None else replace(claim, lenses=lenses)
            self._claim, self._check = claim, GivenCheck(claim, hand_size_mm, fix=fix)
            self.state = CalibrationState(given, self._bones, version=1)
            self._status = CalibrationStatus(CalibrationPhase.GIVEN)

    @property
    def given(self) -> bool:
        """Whether the geometry is a user's."""
        return self._fixed

    @property
    def status(self) -> CalibrationStatus:
        """How far the calibration has come; `merge` is the rig's to add."""
        return replace(self._status, progress=self._progress(), check=self._check.check if self._check else None)

    def _progress(self) -> float:
        if self.state.geometry is not None:
            return 1.0
        if self._status.phase is CalibrationPhase.VERIFYING:
            return 0.75
        return 0.5 * min(len(self._buffer) / FIRST_PAIRS, 1.0)

    def add(self, captured_ns: int, hands: PerView[ViewHand]) -> None:
        """Add a pair that both views saw; pairs of low confidence, or of different handedness, are skipped."""
        pair = keyframe_of(captured_ns, hands)
        if pair is None:
            return
        # Squared, so that jitter is none.
        self._evidence += min(self._buffer.add(pair), 1.0) ** 2
        if self._status.phase is CalibrationPhase.NO_HANDS:
            self._status = replace(self._status, phase=CalibrationPhase.COLLECTING)
        self._new_pairs += 1
        self._first_ns = captured_ns if self._first_ns is None else self._first_ns
        if self._monitor is not None and self._monitor.moved(pair):
            self._restart(captured_ns)
        if self._check is not None and self._check.moved(pair):
            self._buffer.forget_before(captured_ns - MOVED_NS // 2)
            self._reset(captured_ns)
            self._use_check(self._check)

    def hold_out(self, captured_ns: int, hands: PerView[ViewHand]) -> None:
        """A pair that no calibration is to be solved on: later ones are compared on it. The same ones are skipped."""
        pair = keyframe_of(captured_ns, hands)
        if pair is not None:
            self._held_out.add(pair)

    def problem_of(self, keyframes: KeyframeBuffer[Keyframe]) -> Problem | None:
        """These keyframes as one problem, with what was found so far as `known`; None where they are too few or too alike."""
        if self._fixed or len(keyframes) < FIRST_PAIRS or keyframes.travel < MIN_TRAVEL:
            return None
        pairs = keyframes.pairs
        if pairs[-1].captured_ns - pairs[0].captured_ns < FIRST_NS or self._frozen(pairs) is not None:
            return None
        return self._problem(keyframes, search=True)

    def conclude(self, solution: Solution) -> bool:
        """Use the solution of a whole recording's `problem_of`, which needs no second one; False for one of other hands."""
        if solution.epoch != self._epoch:
            return False
        self._use(solution)
        return True

    def due(self, captured_ns: int) -> Problem | None:
        """The problem to solve now, whose solution is to be given to `accept`; None while there is none."""
        if self._check is not None:
            self._test(captured_ns, self._check)
        if self._solving or self._first_ns is None or self._new_pairs < NEW_PAIRS:
            return None
        if len(self._buffer) < FIRST_PAIRS or captured_ns - self._first_ns < FIRST_NS:
            return None
        if self._submitted_ns is not None and captured_ns - self._submitted_ns < self._pause_ns():
            return None
        frozen = self._frozen(self._buffer.pairs)
        if frozen is not None:
            self._status = CalibrationStatus(CalibrationPhase.VIEW_FROZEN, view=frozen)
            return None
        if self._buffer.travel < MIN_TRAVEL:
            self._status = CalibrationStatus(CalibrationPhase.NEEDS_MOTION)
            return None
        self._solving, self._submitted_ns, self._new_pairs = True, captured_ns, 0
        self._solved_evidence = self._evidence
        search = not self._fixed and (self._known is None or self._solved % SEARCH_EVERY == SEARCH_EVERY - 1)
        return self._problem(self._buffer, search=search)

    def _problem(self, keyframes: KeyframeBuffer[Keyframe], *, search: bool) -> Problem:
        times_ns = np.array([pair.captured_ns for pair in keyframes.pairs])
        return Problem(self._keypoints(keyframes), times_ns, self._prior, self._known, search, epoch=self._epoch)

    def _keypoints(self, keyframes: KeyframeBuffer[Keyframe]) -> PerView[Keypoints]:
        return keyframes.keypoints(self._cameras.map(lambda camera: np.array(camera.centre_px)))

    def _test(self, captured_ns: int, check: GivenCheck) -> None:
        """Test the given calibration where it is time to."""
        check.begin(captured_ns)
        if check.is_due(captured_ns, self._first_ns, len(self._buffer)) and check.test(
            captured_ns, self._keypoints(self._buffer), self._buffer.pairs, varied=self._buffer.travel >= MIN_TRAVEL
        ):
            self._use_check(check)

    def _use_check(self, check: GivenCheck) -> None:
        """Take over what the check has come to, corrected cameras too."""
        state, given = self.state, check.calibration
        if self._claim is not None and given is not self._claim:
            lenses = given.lenses if given.lenses is not self._claim.lenses else state.lenses
            geometry = given.geometry
            self._claim, self._cameras = given, geometry.cameras
            self._prior, self._known = self._make_prior(PerView(None, None)), self._estimate_of(geometry, PerView(None, None))
            self._remembered = self._known
            state = replace(state, geometry=geometry, bones=self._bones, lenses=lenses)
            # Hands found in frames that were undistorted otherwise, or bones of another unit, are of no use.
            self._buffer.forget_before(1 << 62)
            self._reset(None)
        self.state = replace(
            state, uncertainty=check.check.uncertainty, contradicted=check.contradicted, version=state.version + 1
        )

    def _pause_ns(self) -> int:
        """Time between two problems."""
        known = bool(self._solved) and (self._fixed or self.state.geometry is not None)
        grown = not self._fixed and self._evidence >= EVIDENCE_GROWTH * self._solved_evidence
        return REFINE_INTERVAL_NS if known and not grown else SOLVE_INTERVAL_NS

    def accept(self, solution: Solution | None) -> None:
        """Accept or reject the solution of the last problem; None where nothing was found."""
        self._solving = False
        if solution is None or solution.epoch != self._epoch:
            return
        self._solved += 1
        rejection = rejection_reason(solution)
        if self._fixed:
            if views_agree(solution):
                state = self.state
                self.state = replace(state, bones=solution.bones, version=state.version + 1, pairs=solution.pairs)
            return
        if rejection is not None:
            if self.state.geometry is None:
                # A rejected solution is no initialization.
                self._known = None
                self._status = CalibrationStatus(CalibrationPhase.REJECTED, figures=figures_of(solution), rejection=rejection)
            return
        lead = self._lead(solution)
        if lead < -KEEP_LEAD:
            return
        # Confirmed by a second solution, or by the remembered cameras: one alone may be a local minimum.
        before = [
            cameras for cameras in (self._known, self._last_solution and self._last_solution.cameras) if cameras is not None
        ]
        self._last_solution = solution
        if lead > REPLACE_LEAD or any(confirms(solution, cameras) for cameras in before):
            self._use(solution)
        elif self.state.geometry is None:
            self._known = None
            self._status = CalibrationStatus(CalibrationPhase.VERIFYING, figures=figures_of(solution))

    def _lead(self, solution: Solution) -> float:
        """Standard errors by which a solution explains held-out pairs better than the cameras in use; 0 where there are none."""
        in_use = self.state.geometry
        return 0.0 if in_use is None else self._held_out.lead(self._geometry_of(solution.cameras), in_use)

    def _use(self, solution: Solution) -> None:
        geometry = self._geometry_of(solution.cameras)
        self._monitor = MotionMonitor.of(geometry, self._buffer.pairs)
        self._known = solution.cameras
        state = self.state
        self.state = CalibrationState(
            geometry, solution.bones, solution.uncertainty, state.version + 1, state.moved, solution.pairs
        )
        self._status = CalibrationStatus(CalibrationPhase.CALIBRATED, figures=figures_of(solution))

    def stop(self) -> None:
        """The solver has ended: no solution will come any more; what is known stays."""
        self._solving = True
        self._status = replace(self._status, stopped=True)

    def forget(self) -> None:
        """Restart calibration: earlier hands were false or of the wrong handedness. A given calibration stays."""
        self._buffer.forget_before(1 << 62)
        self._reset(None)
        self._known = self._remembered
        if self._check is not None:
            self._check.restart()
            self._use_check(self._check)
        else:
            self.state = CalibrationState(version=self.state.version + 1, moved=self.state.moved)
            self._status = CalibrationStatus()

    def _restart(self, captured_ns: int) -> None:
        """A camera was moved: keyframes from before are dropped."""
        self._buffer.forget_before(captured_ns - MOVED_NS // 2)
        self._reset(captured_ns)
        self.state = CalibrationState(version=self.state.version + 1, moved=self.state.moved + 1)
        self._status = CalibrationStatus(CalibrationPhase.MOVED)

    def _reset(self, first_ns: int | None) -> None:
        """Reset to the state before the first problem; the solution of a pending one is ignored."""
        self._monitor = self._last_solution = self._submitted_ns = None
        if not self._fixed:
            self._known = None
        self._first_ns, self._solved, self._epoch = first_ns, 0, self._epoch + 1
        self._held_out.forget_before(1 << 62 if first_ns is None else first_ns - MOVED_NS // 2)
        self._evidence = self._solved_evidence = 0.0

    def _frozen(self, pairs: Sequence[Keyframe]) -> View | None:
        """The view whose hand stands still while the other's moves; None if there is none."""
        pixels = PerView.of(lambda view: np.array([pair.hands[view].pixels for pair in pairs]))
        motion = PerView.of(lambda view: float(pixels[view].std(0).mean()) / self._cameras[view].size_px[0])
        if motion.left < FROZEN_SHARE * motion.right:
            return "left"
        return "right" if motion.right < FROZEN_SHARE * motion.left else None

    def _make_prior(self, fov_deg: PerView[float | None]) -> Prior:
        log_focal = self._cameras.map(lambda camera: float(np.log(camera.focal_px)))
        sigma = PerView.of(lambda view: 0.0 if self._fixed or fov_deg[view] is not None else FOCAL_SIGMA)
        return Prior(log_focal, sigma, EQUAL_SIGMA, self._bones, BONE_SIGMA, BONE_NOISE, place=not self._fixed)

    def _estimate_of(self, geometry: TwoViewGeometry, fov_deg: PerView[float | None]) -> CameraEstimate:
        # A given field of view replaces a remembered focal length.
        focal_px = PerView.of(
            lambda view: (geometry.cameras if fov_deg[view] is None else self._cameras)[view].focal_px,
        )
        t = geometry.t_right_from_left_mm / self._hand_size_mm
        return CameraEstimate(focal_px, geometry.R_right_from_left, t, scaled=True)

    def _geometry_of(self, estimate: CameraEstimate) -> TwoViewGeometry:
        cameras = PerView.of(
            lambda view: PinholeCamera(estimate.focal_px[view], self._cameras[view].centre_px, self._cameras[view].size_px)
        )
        return TwoViewGeometry(cameras, estimate.R_right_from_left, estimate.t_right_from_left * self._hand_size_mm)


def mean_bone_lengths() -> np.ndarray:
    """(20,) lengths of the hand model's mean hand, in hands."""
    import torch

    from hand.joints import unit_hand
    from hand.model import HandModel
    from hand.prior import FAMILIES, family_pose
    from runtime.calibration.variables import CHILD, PARENT

    model = HandModel.load()
    pose = family_pose([list(FAMILIES).index("rest")], model)
    joints = unit_hand(model.pose_joints(torch.zeros(1, model.components), pose)[0].numpy().astype(float))
    return np.linalg.norm(joints[CHILD] - joints[PARENT], axis=-1)


def _camera(size_px: tuple[int, int], fov_deg: float | None) -> PinholeCamera:
    return PinholeCamera.from_fov(*size_px, fov_deg or DEFAULT_FOV_DEG)
