"""What is wrong with what the cameras show, and what the user can do about it: findings from a run's pairs and hands."""
