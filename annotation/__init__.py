"""Candidates -> votes -> consensus: pairing, back ends, validation, agreement, consensus, rationales."""
