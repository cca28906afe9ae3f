"""The paper's tables in miniature, on the simulation: arms and published figures, measurement, page."""
