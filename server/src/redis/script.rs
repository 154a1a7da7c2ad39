//! Scripts that run inside Redis: several steps that nobody gets between, in one round trip.

use std::sync::Arc;

use redis::{Cmd, ErrorKind, FromRedisValue, Script as Source, ServerErrorKind, cmd};

use crate::redis::{Failure, Link, Lost, Redis, User};

/// A script, known to Redis by its hash once it has run.
#[derive(Debug)]
pub struct Script {
    text: &'static str,
    hash: String,
}

impl Script {
    #[must_use]
    pub fn new(text: &'static str) -> Self {
        Self { text, hash: Source::new(text).get_hash().to_owned() }
    }

    /// Runs it. A Redis that does not know it, because it is new or was flushed, is told it in full.
    pub(crate) async fn run<T: FromRedisValue>(
        &self,
        redis: &Redis,
        link: &Arc<Link>,
        user: User,
        call: &Invocation<'_>,
    ) -> Result<T, Lost> {
        let known = self.command("EVALSHA", &self.hash, call);
        match redis.ask_once(link, user, &known).await {
            Err(Failure::Refused(error)) if error.kind() == ErrorKind::Server(ServerErrorKind::NoScript) => {
                redis.ask(link, user, &self.command("EVAL", self.text, call)).await
            }
            answer => redis.settled(link, answer),
        }
    }

    fn command(&self, verb: &str, script: &str, call: &Invocation<'_>) -> Cmd {
        let mut command = cmd(verb);
        command.arg(script).arg(call.keys.len()).arg(call.keys).arg(call.arguments);
        command
    }
}

/// What a script is given.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invocation<'a> {
    pub(crate) keys: &'a [String],
    pub(crate) arguments: &'a [String],
}
