//! Labels of children and pods.

use std::collections::BTreeMap;

use mcp_crds::{annotations, labels};

/// What selects the pods: an immutable subset of their labels.
#[must_use]
pub fn selector(server: &str) -> BTreeMap<String, String> {
    BTreeMap::from(
        [
            (labels::NAME, labels::NAME_VALUE),
            (labels::INSTANCE, server),
            (labels::MANAGED_BY, labels::MANAGED_BY_VALUE),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned())),
    )
}

/// The selector as text, for the scale subresource and for lists.
#[must_use]
pub fn selector_text(server: &str) -> String {
    selector(server).iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

/// Labels of the pods. The version is missing: it changes without a restart.
#[must_use]
pub fn pod(server: &str) -> BTreeMap<String, String> {
    let mut all = selector(server);
    all.insert(labels::COMPONENT.to_owned(), labels::COMPONENT_VALUE.to_owned());
    all.insert(labels::PART_OF.to_owned(), labels::PART_OF_VALUE.to_owned());
    all
}

/// Labels of every child; `version` is that of the served application.
#[must_use]
pub fn child(server: &str, version: &str) -> BTreeMap<String, String> {
    let mut all = pod(server);
    all.insert(labels::VERSION.to_owned(), label_value(version));
    all
}

/// Whether a label is the operator's, and so not the user's to set.
#[must_use]
pub fn is_reserved_label(key: &str) -> bool {
    let ours = [
        labels::NAME,
        labels::INSTANCE,
        labels::VERSION,
        labels::COMPONENT,
        labels::PART_OF,
        labels::MANAGED_BY,
        "pod-template-hash",
    ];
    ours.contains(&key) || is_reserved_annotation(key)
}

/// Whether an annotation is the operator's, and so not the user's to set.
#[must_use]
pub fn is_reserved_annotation(key: &str) -> bool {
    key.starts_with(annotations::PREFIX)
}

/// A text as a label's value: at most 63 characters, nothing but letters, digits, dots, dashes and underscores,
/// and a letter or digit at both ends.
#[must_use]
pub fn label_value(text: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let cut: String = text.chars().map(allowed).take(63).collect();
    cut.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

/// Whether a text is a legal key of a label or an annotation: an optional DNS prefix, a slash, a name.
#[must_use]
pub fn is_qualified_name(key: &str) -> bool {
    let (prefix, name) = match key.split_once('/') {
        Some((prefix, name)) => (Some(prefix), name),
        None => (None, key),
    };
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let name_is_legal = (1..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        && edge(name.chars().next())
        && edge(name.chars().next_back());
    let prefix_is_legal = prefix.is_none_or(|prefix| {
        let part = |part: &str| {
            let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
            edge(part.chars().next())
                && edge(part.chars().next_back())
                && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
        };
        prefix.len() <= 253 && prefix.split('.').all(part)
    });
    name_is_legal && prefix_is_legal
}

/// Whether a text is a legal value of a label.
#[must_use]
pub fn is_label_value(value: &str) -> bool {
    value.is_empty() || (value.len() <= 63 && label_value(value) == value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_become_label_values() {
        for (version, label) in
            [("1.0.0", "1.0.0"), ("1.0.0+build 7", "1.0.0_build_7"), ("-x-", "x"), ("é", "")]
        {
            assert_eq!(label_value(version), label, "{version}");
        }
    }

    #[test]
    fn keys() {
        for good in ["team", "example.com/team", "a.b/C_d.e-f", "kubernetes.io/arch"] {
            assert!(is_qualified_name(good), "{good}");
        }
        for bad in ["", "/team", "example.com/", "-a", "a-", "a b", "A.com/x", "a/b/c", "..a/x"] {
            assert!(!is_qualified_name(bad), "{bad}");
        }
    }

    proptest::proptest! {
        #[test]
        fn whatever_becomes_a_label_value_is_one(text in ".{0,80}") {
            proptest::prop_assert!(is_label_value(&label_value(&text)));
        }
    }
}
