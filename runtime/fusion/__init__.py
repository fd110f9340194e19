"""Two views' hands to one: merging, cross-view consistency, the fit to the full geometry, smoothing."""
