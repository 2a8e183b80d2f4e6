//! What happened: call records, in batches off the hot path, and what can be asked of them.
