"""A dialogue with users: what was asked, what came back, what is known now, and its file."""
