"""The viewer: the hand, the cameras and their images, in a window, a video or a picture."""
