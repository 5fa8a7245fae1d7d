//! Configuration file and environment to a running engine.
