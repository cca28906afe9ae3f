"""`python -m pipelines.cli` is `rewarddance`."""

from pipelines.cli.main import main

main()
