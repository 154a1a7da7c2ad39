//! Why an image cannot be pulled, from what the kubelet passes on of the registry's and the network's words.

/// What the registry or the kubelet says, as a clause with the next step; none where it says nothing of a cause.
pub(super) fn pull_cause(message: &str) -> Option<&'static str> {
    // What stands between quotation marks is names and addresses, which may contain any word.
    let text: String = message.split('"').step_by(2).collect::<Vec<_>>().join(" ").to_ascii_lowercase();
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    // The order matters: a registry that hides private images says both "denied" and "does not exist".
    if says(&["unauthorized", "denied", "authentication", "forbidden"]) {
        Some(
            ": the registry refuses access; correct spec.runtime.image, or give a Secret in spec.runtime.imagePullSecrets",
        )
    } else if says(&["not found", "notfound", "manifest unknown", "does not exist"]) {
        Some(": the registry has no such image; correct spec.runtime.image")
    } else if says(&[
        "invalid reference",
        "invalidimagename",
        "couldn't parse image",
        "failed to apply default image tag",
    ]) {
        Some(": it is not the reference of an image; correct spec.runtime.image")
    } else if says(&["never", "not present with pull policy"]) {
        Some(
            ": it is not on the node, and imagePullPolicy is Never; load it there, or change spec.runtime.imagePullPolicy",
        )
    } else if says(&["no such host", "dial tcp", "timeout", "refused", "unavailable", "i/o", "tls", "x509"]) {
        Some(
            ": the registry cannot be reached from the node; check its name in spec.runtime.image and the network",
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_addresses_are_not_read_as_causes() {
        let refused = "Back-off pulling image \"x.ai/o/denied:never\": ErrImagePull: failed to do request: \
                       Head \"http://x.ai/v2/unauthorized\": dial tcp 127.0.0.1:80: connect: connection refused";
        assert!(pull_cause(refused).unwrap().contains("cannot be reached"));
        assert_eq!(pull_cause("Back-off pulling image \"denied:not found\""), None);
        assert_eq!(pull_cause(""), None);
    }
}
