//! `Config` → running appliance: build, bind, spawn, drain. The only place that wires parts together.
