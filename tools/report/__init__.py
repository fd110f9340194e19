"""Pages that show what commands found: pictures and plots by matplotlib."""
