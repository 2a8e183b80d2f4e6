//! May this call go? `evaluate(&Grant, &Call, now) -> Decision`, pure.
