//! Tools declared in the configuration: CEL expressions and texts, answered by this process.
