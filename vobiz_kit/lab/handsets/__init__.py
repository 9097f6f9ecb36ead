"""The people on the phones: SIP user agents that dial, answer, speak, listen and press keys."""
