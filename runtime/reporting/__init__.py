"""What a run measures of itself: rates, latencies, skew, drops; status line, summary, statistics."""
