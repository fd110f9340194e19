"""Where cameras are and what lenses do: two-view geometry, undistortion, the rotation between views."""
