"""The reward model: context, families of vision-language models, training, scoring, evaluation, the attack gate."""
