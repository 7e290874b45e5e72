//! Programs around the switch.
