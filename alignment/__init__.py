"""Reward -> better generator: reference selection, ReFL, Flow-GRPO, search, hacking monitor."""
