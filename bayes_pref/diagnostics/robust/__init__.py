"""Robust estimates: what residuals say of shares and effects, whatever the model assumes."""
