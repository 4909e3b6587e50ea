"""Whether those who see a pair differ from the population."""
