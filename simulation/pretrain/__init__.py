"""`python -m simulation.pretrain MODEL`: trains the committed weights from scratch with fixed seeds.

A model that people fine-tune is pretrained, and so is ours. What is seen here: renders, the base generators' own
samples, and facts about one picture at a time (perception). Never a score, a rank, or two pictures compared; the
import contract keeps gold.py and tastes.py out of reach.
"""
