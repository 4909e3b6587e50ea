"""Readers: constructors of `Comparisons` from tables of each form, one file a form."""
