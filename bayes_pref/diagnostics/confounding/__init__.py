"""Confounding: whether the users who see a pair differ in their preferences from all users."""
