//! What a part of the server says of itself when it is asked.

use serde::{Serialize, Serializer};

use crate::backend::Health;

/// How something fares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Not known yet: it was not asked, or is only being set up.
    Unknown,
    /// The configuration has no use for it, so that nothing can be wrong with it.
    NotUsed,
    Healthy,
    /// Seen, and not as it should be.
    Unhealthy,
    /// Cannot be seen.
    Error,
}

impl State {
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::NotUsed => "not used",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Error => "error",
        }
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// A state, and what there is to say of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub state: State,
    /// One line; empty where there is nothing to say.
    pub details: String,
}

impl Told {
    #[must_use]
    pub fn unknown(details: impl Into<String>) -> Self {
        Self { state: State::Unknown, details: details.into() }
    }

    /// The details name the setting that would change that.
    #[must_use]
    pub fn not_used(details: impl Into<String>) -> Self {
        Self { state: State::NotUsed, details: details.into() }
    }

    #[must_use]
    pub fn healthy(details: impl Into<String>) -> Self {
        Self { state: State::Healthy, details: details.into() }
    }

    #[must_use]
    pub fn unhealthy(details: impl Into<String>) -> Self {
        Self { state: State::Unhealthy, details: details.into() }
    }
}

impl From<&Health> for Told {
    fn from(health: &Health) -> Self {
        match health {
            Health::Healthy => Self::healthy(""),
            Health::Degraded(why) => Self::unhealthy(why.as_str()),
        }
    }
}
