"""Many users at once, all of whom use the same ids, tokens and names: nothing crosses over."""
