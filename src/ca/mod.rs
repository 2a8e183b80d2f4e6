//! The certificate authority of the appliance: root, leaves, name constraints, bundles. Keys and `now` come in.
