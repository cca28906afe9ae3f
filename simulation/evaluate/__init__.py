"""What is true in the simulation, measured: reward models, aligned generators and searches against gold.

Nothing here is read by training: gold reaches it through votes alone.
"""
