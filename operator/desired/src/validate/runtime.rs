//! Rules for the container: `spec.runtime` and `spec.volumes`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{EnvVar, ResourceRequirements, VolumeMount};
use mcp_crds::McpServerSpec;
use mcp_server_config::Path;

use super::rules::Rules;
use crate::{
    pod::{TAKEN_DIRS, VOLUME_PREFIX},
    quantity,
};

impl Rules {
    pub(super) fn runtime(&mut self, spec: &McpServerSpec) {
        let runtime = &spec.runtime;
        let at = Path::of("spec.runtime");
        let plain = runtime
            .image
            .as_ref()
            .is_none_or(|image| !image.is_empty() && !image.contains(char::is_whitespace));
        self.check(plain, "spec.runtime.image", || {
            "must be the reference of an image, without spaces, as in ghcr.io/example/mcp-server:0.1.0"
                .to_owned()
        });
        self.unique(
            &at.key("imagePullSecrets"),
            runtime.image_pull_secrets.iter().map(|secret| &secret.name),
        );
        if let Some(resources) = &runtime.resources {
            self.resources(resources);
        }
        self.unique(&at.key("env"), runtime.env.iter().map(|variable| &variable.name));
        for (index, variable) in runtime.env.iter().enumerate() {
            self.variable(&at.key("env").index(index), variable);
        }
        self.unique(&at.key("volumeMounts"), runtime.volume_mounts.iter().map(|mount| &mount.mount_path));
        for (index, mount) in runtime.volume_mounts.iter().enumerate() {
            self.mount(&at.key("volumeMounts").index(index), mount, spec);
        }
    }

    pub(super) fn volumes(&mut self, spec: &McpServerSpec) {
        let at = Path::of("spec.volumes");
        self.unique(&at, spec.volumes.iter().map(|volume| &volume.name));
        for (index, volume) in spec.volumes.iter().enumerate() {
            let name_at = || at.index(index).key("name");
            self.check_at(!volume.name.starts_with(VOLUME_PREFIX), name_at, || {
                format!("names that start with {VOLUME_PREFIX} are the operator's own; choose another")
            });
            let kinds = [
                volume.config_map.is_some(),
                volume.secret.is_some(),
                volume.empty_dir.is_some(),
                volume.persistent_volume_claim.is_some(),
                volume.projected.is_some(),
                volume.csi.is_some(),
            ];
            self.check_at(kinds.into_iter().filter(|set| *set).count() == 1, || at.index(index), || {
                "exactly one of configMap, secret, emptyDir, persistentVolumeClaim, projected and csi must be set"
                    .to_owned()
            });
        }
    }

    fn resources(&mut self, resources: &ResourceRequirements) {
        let at = Path::of("spec.runtime.resources");
        let empty = BTreeMap::new();
        let requests = resources.requests.as_ref().unwrap_or(&empty);
        let limits = resources.limits.as_ref().unwrap_or(&empty);
        for (section, amounts) in [("requests", requests), ("limits", limits)] {
            for (name, amount) in amounts {
                let fits = quantity::nanos(&amount.0).is_some_and(|amount| amount >= 0);
                self.check_at(
                    fits,
                    || at.key(section).key(name),
                    || format!("{:?} is not an amount; write one as in 100m, 0.5 or 64Mi", amount.0),
                );
            }
        }
        for (name, request) in requests {
            let above = limits.get(name).filter(|limit| quantity::exceeds(&request.0, &limit.0));
            if let Some(limit) = above {
                self.check_at(
                    false,
                    || at.key("requests").key(name),
                    || {
                        format!(
                            "{} is more than the limit of {}; lower it, or raise the limit",
                            request.0, limit.0
                        )
                    },
                );
            }
        }
    }

    fn variable(&mut self, at: &Path, variable: &EnvVar) {
        let name = &variable.name;
        let legal = !name.is_empty() && name.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'=');
        self.check_at(
            legal,
            || at.key("name"),
            || format!("{name:?} is not the name of an environment variable"),
        );
        let both =
            variable.value.as_ref().is_some_and(|value| !value.is_empty()) && variable.value_from.is_some();
        self.check_at(
            !both,
            || at.key("valueFrom"),
            || "value is set too; set only one of the two".to_owned(),
        );
    }

    fn mount(&mut self, at: &Path, mount: &VolumeMount, spec: &McpServerSpec) {
        let known = spec.volumes.iter().any(|volume| volume.name == mount.name);
        self.check_at(
            known,
            || at.key("name"),
            || {
                format!(
                    "there is no volume {:?} in spec.volumes; add it there, or name one that is",
                    mount.name
                )
            },
        );
        let path = mount.mount_path.trim_end_matches('/');
        let absolute =
            mount.mount_path.starts_with('/') && !mount.mount_path.contains(':') && !path.contains("/../");
        self.check_at(
            absolute && !path.ends_with("/.."),
            || at.key("mountPath"),
            || {
                format!(
                    "{:?} must be an absolute path without colons and dots that lead up",
                    mount.mount_path
                )
            },
        );
        let within = |outer: &str, inner: &str| inner == outer || inner.starts_with(&format!("{outer}/"));
        let taken = TAKEN_DIRS.into_iter().find(|dir| within(dir, path) || within(path, dir));
        self.check_at(
            taken.is_none() || !absolute,
            || at.key("mountPath"),
            || {
                format!(
                    "{} would hide {}, which the server needs; mount it elsewhere, as in /data",
                    mount.mount_path,
                    taken.unwrap_or_default()
                )
            },
        );
    }
}
