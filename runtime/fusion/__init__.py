"""Two views' hands to one: the rig of both cameras, and hand tracks: consistency, merging, the fit to the geometry, smoothing."""
