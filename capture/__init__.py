"""From cameras to frame pairs: capture processes, the wire format, clocks, pairing."""
