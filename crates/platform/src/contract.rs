//! Contract suites: what every implementation of a trait must hold.
