"""The No-U-Turn sampler."""
