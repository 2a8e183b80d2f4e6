//! The use cases: submit, decide, reveal, rotate, revoke, expire, administer. The only writer of the store.
