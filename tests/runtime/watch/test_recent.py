"""The share is that of the pairs within the window."""

from runtime.watch.recent import RecentShare


def test_only_pairs_within_the_window_count():
    recent = RecentShare(100)
    assert (recent.count, recent.share, recent.span_ns) == (0, 0.0, 0)
    for captured_ns in range(0, 110, 10):
        recent.add(captured_ns, captured_ns < 50)
    assert (recent.count, recent.share, recent.span_ns) == (11, 5 / 11, 100)
    recent.add(200, True)
    assert (recent.count, recent.share, recent.span_ns) == (2, 0.5, 100)
