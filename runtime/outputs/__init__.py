"""What a run gives besides pictures: lines, messages, recordings, and the check of a replay."""
