"""What a camera can be: devices, video files, recordings, LeRobot, synthetic and pattern sources."""
