"""Media bytes: probing before decoding, a content-addressed store, safe decoding, deterministic encoding."""
