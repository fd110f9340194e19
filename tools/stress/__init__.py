"""What goes wrong on purpose: long runs with faults, malformed messages."""
