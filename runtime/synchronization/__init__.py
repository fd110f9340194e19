"""Are both views in step? Time offset and rate between two views, from the motion of the hand that both see."""
