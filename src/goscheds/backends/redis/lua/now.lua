-- Reply: the clock.
return now
