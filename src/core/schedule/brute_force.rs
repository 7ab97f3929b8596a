//! Properties of the schedule, against an independent brute force.
