"""When a job runs and under which limit so that it costs least. Pure: no clock, no I/O.

Accounting, everywhere in here:

- The work is completed: all of it, no more. What differs is when, and under which limits.
- From the origin until completion the board draws: in a mode that mode's draw, parked its parked draw (43 W for the
  V100 curve), in the seconds of a switch its highest draw. After completion nothing counts.
- A second of an interval costs its draw times the unit cost of the interval, in USD per J. It may be negative.
- Every second until completion costs the job's value of waiting.
- The limit may change at any second, free of charge. Between running and parked the board changes at most once in an
  interval, and the seconds of that switch lie in that interval, do no work and draw.
- A job that runs at the origin may go on at no cost; one that is parked has to resume. Completion is no pause.
"""
