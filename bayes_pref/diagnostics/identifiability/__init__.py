"""What the data identify, and what the prior sets."""
