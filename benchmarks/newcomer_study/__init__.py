"""People whom no fit has met, with few answers each: what methods make of them."""
