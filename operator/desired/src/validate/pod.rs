//! Rules for what surrounds the container: `spec.pod`, `spec.service` and `spec.rollout`.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use mcp_crds::{McpServerSpec, v1alpha1::ServiceType};
use mcp_server_config::{Duration, Path};

use super::{drain_timeout, rules::Rules};
use crate::{Observed, deployment::DEFAULT_MIN_READY_SECONDS};

impl Rules {
    pub(super) fn pod(&mut self, spec: &McpServerSpec) {
        let pod = &spec.pod;
        self.labels(&Path::of("spec.pod.labels"), &pod.labels, true);
        self.labels(&Path::of("spec.pod.nodeSelector"), &pod.node_selector, false);
        self.annotations(&Path::of("spec.pod.annotations"), &pod.annotations);
        let account = &pod.service_account;
        self.annotations(&Path::of("spec.pod.serviceAccount.annotations"), &account.annotations);
        let both = account.name.is_some() && !account.annotations.is_empty();
        self.check(!both, "spec.pod.serviceAccount.annotations", || {
            "annotations are for the ServiceAccount that the operator makes; set either name or annotations"
                .to_owned()
        });
    }

    pub(super) fn service(&mut self, spec: &McpServerSpec, observed: &Observed) {
        let service = &spec.service;
        self.labels(&Path::of("spec.service.labels"), &service.labels, true);
        self.annotations(&Path::of("spec.service.annotations"), &service.annotations);
        self.check((1..=65535).contains(&service.port.unwrap_or(80)), "spec.service.port", || {
            "must be from 1 to 65535".to_owned()
        });
        let balanced = service.type_.unwrap_or_default() == ServiceType::LoadBalancer;
        self.check(
            service.load_balancer_class.is_none() || balanced,
            "spec.service.loadBalancerClass",
            || "needs type: LoadBalancer; set that, or remove the class".to_owned(),
        );
        // The API server never lets a load balancer change its class; better said here than as a refusal.
        let live = observed.service.as_ref().and_then(|service| service.spec.as_ref());
        let live_class = live.filter(|live| live.type_.as_deref() == Some("LoadBalancer") && balanced);
        if let Some(live) = live_class {
            let same = live.load_balancer_class == service.load_balancer_class
                || service.load_balancer_class.is_none();
            self.check(same, "spec.service.loadBalancerClass", || {
                format!(
                    "cannot change while the Service is a load balancer (now {}); set it back, or delete the Service",
                    live.load_balancer_class.as_deref().unwrap_or("none")
                )
            });
        }
    }

    pub(super) fn rollout(&mut self, spec: &McpServerSpec) {
        let rollout = &spec.rollout;
        let zero = |value: &Option<IntOrString>, default: bool| match value {
            None => default,
            Some(IntOrString::Int(number)) => *number == 0,
            Some(IntOrString::String(text)) => text == "0%",
        };
        let stuck = zero(&rollout.max_surge, false) && zero(&rollout.max_unavailable, true);
        self.check(!stuck, "spec.rollout.maxSurge", || {
            "maxSurge and maxUnavailable are both 0, so that no pod could ever be replaced; raise one of them"
                .to_owned()
        });
        for (field, value) in [("maxSurge", &rollout.max_surge), ("maxUnavailable", &rollout.max_unavailable)]
        {
            let fits = match value {
                None => true,
                Some(IntOrString::Int(number)) => (0..=1000).contains(number),
                Some(IntOrString::String(text)) => text
                    .strip_suffix('%')
                    .and_then(|number| number.parse::<u8>().ok())
                    .is_some_and(|number| number <= 100),
            };
            self.check_at(
                fits,
                || Path::of("spec.rollout").key(field),
                || "must be a number from 0 to 1000 or a percentage up to 100%, as in 25%".to_owned(),
            );
        }
        let seconds = Duration::from_secs;
        let most_delay = rollout.drain_delay.is_none_or(|delay| delay <= seconds(600));
        self.check(most_delay, "spec.rollout.drainDelay", || "must be at most 10m".to_owned());
        let (drain, call) = (drain_timeout(spec), spec.config.performance.request_timeout());
        self.check(drain <= seconds(3600), "spec.rollout.drainTimeout", || "must be at most 1h".to_owned());
        self.check(drain >= call, "spec.rollout.drainTimeout", || {
            format!(
                "{drain} is less than the request timeout of {call}, so that stopping pods would cut calls off; raise \
                 it, or lower spec.config.performance.requestTimeout"
            )
        });
        let min_ready = rollout.min_ready_seconds.unwrap_or(DEFAULT_MIN_READY_SECONDS);
        self.check((0..=3600).contains(&min_ready), "spec.rollout.minReadySeconds", || {
            "must be from 0 to 3600".to_owned()
        });
        let deadline = rollout.progress_deadline.unwrap_or(seconds(600));
        let fits = (seconds(10)..=seconds(86_400)).contains(&deadline);
        self.check(fits, "spec.rollout.progressDeadline", || "must be from 10s to 24h".to_owned());
        let longer = i128::from(deadline.as_secs_ceil()) > i128::from(min_ready);
        self.check(longer, "spec.rollout.progressDeadline", || {
            format!("{deadline} must be more than minReadySeconds ({min_ready}), or every rollout would count as stuck")
        });
    }
}
