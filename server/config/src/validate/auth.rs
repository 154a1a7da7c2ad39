//! Rules of `auth`.

use super::Rules;
use crate::{Auth, ClaimMatch, Duration, OAuth2, Path, Rule, ServiceConfig};

/// The most rules: a caller's set of them is a number of 64 bits.
pub(crate) const MAX_RULES: usize = 64;

impl Rules {
    pub(super) fn auth(&mut self, config: &ServiceConfig) {
        let Auth { mode: _, api_keys, oauth2, rules, max_failures_per_minute } = &config.auth;
        if let Some(keys) = api_keys {
            self.secret("auth.apiKeys", keys);
        }
        let public_url = config.http.public_url.as_deref();
        if let Some(url) = public_url {
            self.check(is_public_url(url), "http.publicURL", || {
                "is not the URL of an endpoint; write it without query, fragment and a slash at the end, \
                 as in https://mcp.example.com/mcp"
                    .to_owned()
            });
        }
        if let Some(oauth2) = oauth2 {
            self.oauth2(oauth2, public_url);
        }
        let failures = max_failures_per_minute.unwrap_or(1);
        self.check((1..=100_000).contains(&failures), "auth.maxFailuresPerMinute", || {
            "must be from 1 to 100000".to_owned()
        });
        self.check(rules.len() <= MAX_RULES, "auth.rules", || format!("must be at most {MAX_RULES}"));
        for (index, rule) in rules.iter().enumerate() {
            self.rule(rule, &Path::of("auth.rules").index(index));
        }
    }

    fn oauth2(&mut self, oauth2: &OAuth2, public_url: Option<&str>) {
        let at = |key: &str| Path::of("auth.oauth2").key(key);
        self.check_at(oauth2.issuer.is_some(), &at("issuer"), || {
            "must be set: the URL of the authorization server, exactly as its tokens write it".to_owned()
        });
        if let Some(issuer) = &oauth2.issuer {
            self.web_url(issuer, &at("issuer"), false);
        }
        if let Some(url) = &oauth2.jwks_url {
            self.web_url(url, &at("jwksURL"), true);
        }
        self.check_at(!oauth2.audiences(public_url).is_empty(), &at("audiences"), || {
            "must be set, or http.publicURL: without an audience, tokens made for other servers would be accepted"
                .to_owned()
        });
        self.check_at(oauth2.audiences.len() <= 16, &at("audiences"), || "must be at most 16".to_owned());
        for (index, audience) in oauth2.audiences.iter().enumerate() {
            self.check_at(!audience.is_empty(), &at("audiences").index(index), || {
                "must not be empty".to_owned()
            });
        }
        self.check_at(oauth2.required_scopes.len() <= 32, &at("requiredScopes"), || {
            "must be at most 32".to_owned()
        });
        for (index, scope) in oauth2.required_scopes.iter().enumerate() {
            self.check_at(is_scope(scope), &at("requiredScopes").index(index), || {
                "is not a scope; write one without spaces, quotes and backslashes".to_owned()
            });
        }
        let (least, most) = (Duration::from_secs(0), Duration::from_secs(300));
        self.between("auth.oauth2.clockSkew", oauth2.clock_skew, least, most);
        if let Some(introspection) = &oauth2.introspection {
            let at = |key: &str| Path::of("auth.oauth2.introspection").key(key);
            if let Some(url) = &introspection.url {
                self.web_url(url, &at("url"), true);
            }
            let needed = || "must be set, so that the authorization server knows who asks".to_owned();
            self.check_at(
                introspection.client_id.as_ref().is_some_and(|id| !id.is_empty()),
                &at("clientID"),
                needed,
            );
            match &introspection.client_secret {
                Some(secret) => self.secret("auth.oauth2.introspection.clientSecret", secret),
                None => self.check_at(false, &at("clientSecret"), needed),
            }
        }
    }

    fn web_url(&mut self, url: &str, path: &Path, query: bool) {
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let host = rest.map(|rest| rest.split(['/', '?']).next().unwrap_or_default());
        let fits = host.is_some_and(|host| !host.is_empty() && !host.contains('@'))
            && !url.contains(|c: char| c == '#' || c.is_whitespace() || c.is_control())
            && (query || !url.contains('?'));
        self.check_at(fits, path, || {
            "is not a URL that begins with https://, or it holds a user, a password or a fragment".to_owned()
        });
    }

    fn rule(&mut self, rule: &Rule, path: &Path) {
        self.check_at(!rule.allow.is_empty() || !rule.deny.is_empty(), path, || {
            "allows and denies nothing; set allow or deny".to_owned()
        });
        let lists = [
            ("principals", &rule.principals, 64),
            ("scopes", &rule.scopes, 32),
            ("allow", &rule.allow, 128),
            ("deny", &rule.deny, 128),
        ];
        for (key, list, most) in lists {
            self.texts(list, most, &path.key(key));
        }
        self.check_at(rule.claims.len() <= 16, &path.key("claims"), || "must be at most 16".to_owned());
        for (index, claim) in rule.claims.iter().enumerate() {
            let ClaimMatch { name, values } = claim;
            let path = path.key("claims").index(index);
            self.check_at(!name.is_empty(), &path.key("name"), || "must not be empty".to_owned());
            self.check_at(!values.is_empty(), &path.key("values"), || {
                "must name at least one value".to_owned()
            });
            self.texts(values, 64, &path.key("values"));
        }
    }

    fn texts(&mut self, list: &[String], most: usize, path: &Path) {
        self.check_at(list.len() <= most, path, || format!("must be at most {most}"));
        for (index, text) in list.iter().enumerate() {
            self.check_at((1..=256).contains(&text.len()), &path.index(index), || {
                "must have from 1 to 256 characters".to_owned()
            });
        }
    }
}

/// A scope as RFC 6749, section 3.3, writes one.
fn is_scope(scope: &str) -> bool {
    (1..=128).contains(&scope.len())
        && scope.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\')
}

fn is_public_url(url: &str) -> bool {
    let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
    rest.is_some_and(|rest| {
        !rest.is_empty()
            && !rest.starts_with('/')
            && !rest.ends_with('/')
            && rest.len() <= 2000
            && rest.bytes().all(|byte| byte.is_ascii_graphic() && !b"?#@\"\\<>".contains(&byte))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate_service;

    fn broken(change: impl FnOnce(&mut ServiceConfig)) -> Vec<String> {
        let mut config = ServiceConfig::default();
        change(&mut config);
        validate_service(&config).into_iter().map(|violation| violation.path.to_string()).collect()
    }

    fn oauth2() -> OAuth2 {
        OAuth2 {
            issuer: Some("https://id.example.com".into()),
            audiences: vec!["mcp".into()],
            ..OAuth2::default()
        }
    }

    #[test]
    fn a_token_needs_an_issuer_and_an_audience() {
        assert_eq!(broken(|config| config.auth.oauth2 = Some(oauth2())), Vec::<String>::new());
        assert_eq!(
            broken(|config| config.auth.oauth2 = Some(OAuth2::default())),
            ["auth.oauth2.issuer", "auth.oauth2.audiences"]
        );
        let with_public_url = broken(|config| {
            config.http.public_url = Some("https://mcp.example.com/mcp".into());
            config.auth.oauth2 = Some(OAuth2 { audiences: Vec::new(), ..oauth2() });
        });
        assert_eq!(with_public_url, Vec::<String>::new());
        let introspection = Some(crate::Introspection::default());
        assert_eq!(
            broken(|config| config.auth.oauth2 = Some(OAuth2 { introspection, ..oauth2() })),
            ["auth.oauth2.introspection.clientID", "auth.oauth2.introspection.clientSecret"]
        );
    }

    #[test]
    fn urls_are_what_clients_can_use() {
        for (url, good) in [
            ("https://mcp.example.com/mcp", true),
            ("http://localhost:8080/mcp", true),
            ("https://mcp.example.com", true),
            ("https://mcp.example.com/", false),
            ("https://mcp.example.com/mcp/", false),
            ("https://mcp.example.com/mcp?x=1", false),
            ("https://mcp.example.com/mcp#x", false),
            ("https://a@mcp.example.com/mcp", false),
            ("mcp.example.com/mcp", false),
            ("https://x/\"y", false),
        ] {
            let broken = broken(|config| config.http.public_url = Some(url.into()));
            assert_eq!(broken.is_empty(), good, "{url}");
        }
        for issuer in ["id.example.com", "https://", "https://a@b", "https://a?b", "https://a#b", "ftp://a"] {
            let oauth2 = OAuth2 { issuer: Some(issuer.into()), ..oauth2() };
            assert_eq!(
                broken(|config| config.auth.oauth2 = Some(oauth2)),
                ["auth.oauth2.issuer"],
                "{issuer}"
            );
        }
    }

    #[test]
    fn a_rule_says_something() {
        assert_eq!(broken(|config| config.auth.rules = vec![Rule::default()]), ["auth.rules[0]"]);
        let claims = vec![ClaimMatch { name: "groups".into(), values: Vec::new() }];
        let rule = Rule { claims, allow: vec!["*".into(), String::new()], ..Rule::default() };
        assert_eq!(
            broken(|config| config.auth.rules = vec![rule]),
            ["auth.rules[0].allow[1]", "auth.rules[0].claims[0].values"]
        );
    }
}
