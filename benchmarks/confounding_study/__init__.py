"""Case study 2 of Kobalczyk & van der Schaar (2025): confounding by what users are after."""
