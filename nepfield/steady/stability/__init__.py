"""Whether a steady state of a wave decays back to itself when it is disturbed."""
