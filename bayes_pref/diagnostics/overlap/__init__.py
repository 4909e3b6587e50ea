"""Whose data an answer rests on."""
