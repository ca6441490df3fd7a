//! Profiles: YAML to a validated cluster, and from there to one plan a node.
