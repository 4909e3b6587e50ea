"""How strong an unmeasured factor would have to be to turn a conclusion."""
