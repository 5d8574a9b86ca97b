"""From a config to the plan: recipes, the matrix, the images in build order."""
