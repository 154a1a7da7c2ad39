//! URLs with places for arguments: `https://api.example.com/users/{{args.id}}`.
//!
//! A URL is taken apart before anything is filled in, so that no argument can move a boundary: what stands in the path
//! stays one segment of it, and what stands in the host never becomes anything else.

use super::template::{Part, Template};

/// A URL, split at its boundaries and at its places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlTemplate {
    pub https: bool,
    /// Host and perhaps a port.
    pub authority: Vec<Part>,
    /// What stands between the slashes of the path.
    pub segments: Vec<Vec<Part>>,
    /// What stands behind the question mark; absent where there is none.
    pub query: Option<Vec<Part>>,
}

/// Where in a URL one is.
enum State {
    Authority,
    Path,
    Query,
}

impl UrlTemplate {
    /// Whether the host is written out: then the configuration vouches for it.
    #[must_use]
    pub fn has_literal_host(&self) -> bool {
        self.authority.iter().all(|part| matches!(part, Part::Literal(_)))
    }

    /// Scheme, host and port, where they are written out.
    #[must_use]
    pub fn literal_origin(&self) -> Option<String> {
        let mut origin = String::from(if self.https { "https://" } else { "http://" });
        for part in &self.authority {
            let Part::Literal(text) = part else { return None };
            origin.push_str(text);
        }
        Some(origin)
    }

    pub(super) fn of(template: &Template) -> Result<Self, String> {
        let Some((Part::Literal(first), rest)) = template.parts().split_first() else {
            return Err("begins with an argument; write out https:// and the host".to_owned());
        };
        let (https, first) = match (first.strip_prefix("https://"), first.strip_prefix("http://")) {
            (Some(first), _) => (true, first),
            (_, Some(first)) => (false, first),
            _ => return Err("is not an absolute URL; begin it with https:// or http://".to_owned()),
        };
        let mut url = Self { https, authority: Vec::new(), segments: Vec::new(), query: None };
        let mut state = State::Authority;
        url.literal(&mut state, first)?;
        for part in rest {
            match part {
                Part::Literal(text) => url.literal(&mut state, text)?,
                Part::Argument(_) => url.place(&state).push(part.clone()),
            }
        }
        url.check_authority()?;
        Ok(url)
    }

    /// The piece that is being written.
    fn place(&mut self, state: &State) -> &mut Vec<Part> {
        match state {
            State::Authority => &mut self.authority,
            State::Path => {
                if self.segments.is_empty() {
                    self.segments.push(Vec::new());
                }
                self.segments.last_mut().expect("one was pushed")
            }
            State::Query => self.query.get_or_insert_default(),
        }
    }

    fn literal(&mut self, state: &mut State, text: &str) -> Result<(), String> {
        for c in text.chars() {
            match (c, &state) {
                ('#', _) => return Err("has a fragment (#), which is never sent; remove it".to_owned()),
                ('/', State::Authority | State::Path) => {
                    *state = State::Path;
                    self.segments.push(Vec::new());
                }
                ('?', State::Authority | State::Path) => {
                    *state = State::Query;
                    self.query = Some(Vec::new());
                }
                ('@', State::Authority) => {
                    return Err("holds a user or a password; send a header with a secret instead".to_owned());
                }
                (c, _)
                    if !c.is_ascii_graphic()
                        || matches!(c, '"' | '<' | '>' | '\\' | '^' | '`' | '{' | '|' | '}') =>
                {
                    return Err(format!("holds {c:?}, which no URL may; write it percent-encoded"));
                }
                (c, state) => push(self.place(state), c),
            }
        }
        Ok(())
    }

    fn check_authority(&self) -> Result<(), String> {
        let text: String = self
            .authority
            .iter()
            .map(|part| match part {
                Part::Literal(text) => text.as_str(),
                // Whatever is filled in later is checked then.
                Part::Argument(_) => "1",
            })
            .collect();
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (host, port) = rest.split_once(']').ok_or("has a [ and no ] in its host")?;
                if host.parse::<std::net::Ipv6Addr>().is_err() {
                    return Err("has brackets around what is not an IPv6 address".to_owned());
                }
                (host, port)
            }
            None => text.find(':').map_or((text.as_str(), ""), |colon| text.split_at(colon)),
        };
        if host.is_empty() {
            return Err("has no host".to_owned());
        }
        if !text.starts_with('[') && !host.bytes().all(is_of_host) {
            return Err("has a host with other characters than letters, digits, dots and dashes".to_owned());
        }
        // An argument could be the port, too; then it is checked when it is filled in.
        let numeric = |port: &str| port.parse::<u16>().is_ok_and(|port| port > 0);
        if !port.is_empty() && !port.strip_prefix(':').is_some_and(numeric) {
            return Err("has something behind its host that is not a port".to_owned());
        }
        let dots = |segment: &&Vec<Part>| matches!(segment.as_slice(), [Part::Literal(text)] if text == "." || text == "..");
        if self.segments.iter().any(|segment| dots(&segment)) {
            return Err("has a segment . or .. in its path; write the path that is meant".to_owned());
        }
        Ok(())
    }
}

/// Whether a byte may stand in the name of a host.
#[must_use]
pub fn is_of_host(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_')
}

fn push(parts: &mut Vec<Part>, c: char) {
    match parts.last_mut() {
        Some(Part::Literal(text)) => text.push(c),
        _ => parts.push(Part::Literal(c.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<UrlTemplate, String> {
        UrlTemplate::of(&Template::parse(text).unwrap())
    }

    #[test]
    fn takes_urls_apart() {
        let of = url("https://a.example:8443/v1/{{args.id}}/x-{{args.y}}?q={{args.q}}&z=/?").unwrap();
        assert!(of.https && of.has_literal_host());
        assert!(of.literal_origin().is_some_and(|origin| origin.starts_with("https://")));
        assert_eq!(of.authority, [Part::Literal("a.example:8443".into())]);
        assert_eq!(of.segments.len(), 3);
        assert_eq!(of.segments[1], [Part::Argument(vec!["id".into()])]);
        assert_eq!(of.query.unwrap()[2], Part::Literal("&z=/?".into()));
        assert!(url("http://[::1]:80").unwrap().segments.is_empty());
        let of = url("https://{{args.region}}.example.com/").unwrap();
        assert!(!of.has_literal_host() && of.literal_origin().is_none());
    }

    #[test]
    fn refuses_what_is_no_url_of_ours() {
        for bad in [
            "{{args.url}}",
            "ftp://a/",
            "//a",
            "https://",
            "https:///x",
            "https://u:p@a/",
            "https://a/#x",
            "https://a b/",
            "https://a/ü",
            "https://a:x/",
            "https://a:0/",
            "https://a:99999/",
            "https://a/../b",
            "https://a/./b",
            "https://[x]/",
            "https://a\\b/",
            "https://a/{x}",
        ] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }
}
