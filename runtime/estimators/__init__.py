"""From frames to each view's joints: locating, cropping, tracking, handedness; MediaPipe's models."""
