-- Uses prelude.
-- Reply: the clock.
return now
