//! Configuration: `raw` (as written, unknown keys refused) → `resolved` (parsed, every error told at once).
