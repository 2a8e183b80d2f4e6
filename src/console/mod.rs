//! What people and scripts talk to: REST API and pages. No rules live here; those are in `workflow`.
