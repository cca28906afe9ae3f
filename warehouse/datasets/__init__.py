"""Dataset versions: a recipe applied to the rows as they stand at one snapshot."""
