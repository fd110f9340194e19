"""The hand itself: joints, rotations, the parametric model, the camera that sees it."""
