"""From the configuration to a live connection: tokens, pace, consent."""
