"""From a frame pair to a 3D hand, live: settings, types, the pipeline and its loop."""
