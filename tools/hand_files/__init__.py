"""Hands written for other programs: tables, arrays, motion; one module a format."""
