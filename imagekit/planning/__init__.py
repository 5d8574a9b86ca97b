"""From a config to a plan: recipes, the matrix, images in build order."""
