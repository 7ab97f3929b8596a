//! Tests of the schedule against hand-checked facts.
