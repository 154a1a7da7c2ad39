//! What goes wrong around the operator, and in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake::{Fake, Fault};
use crate::world::{
    NAMESPACE, Run, condition, quiet, ready, roll_out, server, set_cel, settled, until, writes,
};

/// What differs between two runs by nature is left out.
fn comparable(fake: &Fake) -> Vec<Value> {
    let state = fake.state();
    let objects = state.objects.iter().filter(|(id, _)| id.0 != "events" && id.0 != "leases");
    objects
        .map(|(_, object)| {
            let mut object = object.clone();
            for moving in ["uid", "resourceVersion", "generation"] {
                object["metadata"].as_object_mut().unwrap().remove(moving);
            }
            for owner in object["metadata"]["ownerReferences"].as_array_mut().into_iter().flatten() {
                owner["uid"] = Value::Null;
            }
            // A killed operator takes a pending nudge with it; the pod then gets the change with the kubelet's next sync.
            if object["kind"] == "Pod" {
                object["metadata"].as_object_mut().unwrap().remove("annotations");
            }
            if object["kind"] == "Secret" {
                object["data"] = Value::Null;
            }
            for condition in object["status"]["conditions"].as_array_mut().into_iter().flatten() {
                condition["lastTransitionTime"] = Value::Null;
            }
            object
        })
        .collect()
}

/// One whole life: created, rolled out, edited. The `cut`-th write is interrupted; with `kill` the operator dies of it.
async fn life(cut: usize, fault: Fault, kill: bool) -> (Fake, usize) {
    let fake = Fake::new();
    let seen = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&seen);
    fake.on_request(move |request| {
        let is_cut = request.is_write() && counted.fetch_add(1, Ordering::SeqCst) == cut;
        is_cut.then_some(fault)
    });
    let mut run = Run::start(&fake);
    fake.create("mcpservers", server("hello")).unwrap();
    let mut steps = 0;
    for _ in 0..600 {
        if kill && seen.load(Ordering::SeqCst) == cut + 1 && steps < 10 {
            run.kill().await;
            run = Run::start(&fake);
            steps += 10;
        }
        if let Some(deployment) = fake.get("deployments", NAMESPACE, "hello") {
            if deployment["status"]["observedGeneration"] != deployment["metadata"]["generation"] {
                roll_out(&fake, "hello");
            }
            if steps % 10 == 0 && ready(&fake, "hello") == "True/Ready" {
                set_cel(&fake, "hello", "\"Good day, \" + args.name");
                steps += 1;
            }
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    quiet(&fake).await;
    run.stop().await;
    let writes = seen.load(Ordering::SeqCst);
    (fake, writes)
}

#[tokio::test(start_paused = true)]
async fn whichever_write_is_cut_the_next_passes_converge() {
    let (reference, writes) = life(usize::MAX, Fault::Refuse(500), false).await;
    assert!(writes >= 8, "{writes}");
    assert_eq!(ready(&reference, "hello"), "True/Ready");
    let reference = comparable(&reference);
    for cut in 0..writes {
        for (fault, kill) in [
            (Fault::Refuse(500), false),
            (Fault::LoseAnswer, false),
            (Fault::Refuse(500), true),
            (Fault::LoseAnswer, true),
        ] {
            let (fake, _) = life(cut, fault, kill).await;
            let mut objects = comparable(&fake);
            let mut reference = reference.clone();
            // The answer of the key's POST was lost: its uid is unknown, and the ConfigMap says so instead of naming the Secret.
            for object in
                objects.iter_mut().chain(&mut reference).filter(|object| object["kind"] == "ConfigMap")
            {
                object["metadata"].as_object_mut().unwrap().remove("ownerReferences");
                object["metadata"]["annotations"].as_object_mut().unwrap().remove("mcp-operator.dev/api-key");
            }
            let differs = objects.iter().zip(&reference).find(|(is, should)| is != should);
            assert_eq!(differs, None, "write {cut} met {fault:?}, killed: {kill}");
            assert_eq!(objects.len(), reference.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_one_reconcile_stops_no_other() {
    let fake = Fake::new();
    let panics = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&panics);
    fake.on_request(move |request| {
        if request.verb == "get"
            && request.name.starts_with("poison")
            && counted.fetch_add(1, Ordering::SeqCst) < 3
        {
            panic!("a mistake in the operator");
        }
        None
    });
    let run = Run::start(&fake);
    fake.create("mcpservers", server("poison")).unwrap();
    until("the panic", || panics.load(Ordering::SeqCst) > 0).await;
    fake.create("mcpservers", server("hello")).unwrap();
    until("the other one", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    until("the end of the panics", || fake.get("deployments", NAMESPACE, "poison").is_some()).await;
    assert_eq!(run.metrics.reconcile.errors.with_label_values(&["Panic"]).get(), 3);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_cannot_be_read_holds_up_no_other() {
    let fake = Fake::new();
    let mut unreadable = server("odd");
    unreadable["spec"]["replicas"] = json!("many");
    fake.create("mcpservers", unreadable).unwrap();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    assert_eq!(fake.get("deployments", NAMESPACE, "odd"), None);
    let events: Vec<Value> =
        fake.state().objects.iter().filter(|(id, _)| id.0 == "events").map(|(_, e)| e.clone()).collect();
    assert!(
        events.iter().any(|event| event["regarding"]["name"] == "odd" && event["reason"] == "Invalid"),
        "{events:?}"
    );
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_definition_is_said_and_waited_for() {
    let fake = Fake::new();
    fake.on_request(|request| (request.resource == "mcpservers").then_some(Fault::Refuse(404)));
    let run = Run::start(&fake);
    until("the gauge", || run.metrics.watch.crd_missing.get() == 1).await;
    assert!(run.readiness.check().unwrap_err().contains("is not installed"));
    fake.calm();
    fake.create("mcpservers", server("hello")).unwrap();
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    assert_eq!(run.readiness.check(), Ok(()));
    assert_eq!(run.metrics.watch.crd_missing.get(), 0);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_missing_right_is_named_and_costs_only_what_it_is_about() {
    let fake = Fake::new();
    fake.on_request(|request| {
        (request.resource == "services" && request.verb == "apply").then_some(Fault::Refuse(403))
    });
    let run = Run::start(&fake);
    fake.create("mcpservers", server("hello")).unwrap();
    until("the condition", || ready(&fake, "hello") == "False/Forbidden").await;
    let message = condition(&fake, "hello", "Ready").unwrap()["message"].clone();
    assert!(message.as_str().unwrap().contains("apply Service shop/hello"), "{message}");
    assert!(fake.get("deployments", NAMESPACE, "hello").is_some(), "the pods do not stand on the Service");
    fake.calm();
    until("the Service", || fake.get("services", NAMESPACE, "hello").is_some()).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_waits_for_the_reconcile_under_way() {
    let fake = Fake::new();
    fake.on_request(|request| (request.verb == "apply").then_some(Fault::Slow));
    let run = Run::start(&fake);
    fake.create("mcpservers", server("hello")).unwrap();
    until("the first apply", || fake.get("serviceaccounts", NAMESPACE, "hello-mcp").is_some()).await;
    run.stop().await;
    assert!(fake.get("deployments", NAMESPACE, "hello").is_some(), "the reconcile under way was cut off");
    assert_eq!(ready(&fake, "hello"), "False/Progressing");
}

#[tokio::test(start_paused = true)]
async fn a_failing_resource_is_tried_ever_more_rarely_and_a_success_ends_that() {
    let fake = Fake::new();
    fake.on_request(|request| (request.verb == "apply").then_some(Fault::Refuse(500)));
    let run = Run::start(&fake);
    fake.create("mcpservers", server("hello")).unwrap();
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let tries = run.metrics.reconcile.errors.with_label_values(&["Unavailable"]).get();
    assert!((12..60).contains(&tries), "{tries} tries in an hour");
    fake.calm();
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    roll_out(&fake, "hello");
    until("Ready", || ready(&fake, "hello") == "True/Ready").await;
    fake.on_request(|request| (request.verb == "apply").then_some(Fault::Refuse(500)));
    fake.delete("services", NAMESPACE, "hello");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    let retried = run.metrics.reconcile.errors.with_label_values(&["Unavailable"]).get();
    assert!(retried >= tries + 2, "the first retry comes after a second again");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_namespace_that_is_being_deleted_costs_one_refused_write_and_no_warning() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    for name in ["one", "two", "three"] {
        settled(&fake, name).await;
    }
    let text = "configmaps \"x\" is forbidden: unable to create new content in namespace shop because it is being terminated";
    fake.on_request(move |request| {
        (request.is_write() && request.verb == "apply").then_some(Fault::RefuseSaying(403, text))
    });
    fake.take_requests();
    // The namespace's controller deletes what is in it, in an order of its own.
    for name in ["one", "two", "three"] {
        for (resource, suffix) in [("configmaps", "-config"), ("services", ""), ("serviceaccounts", "-mcp")] {
            fake.delete(resource, NAMESPACE, &format!("{name}{suffix}"));
        }
    }
    tokio::time::sleep(Duration::from_secs(20)).await;
    let refused = writes(&fake.take_requests());
    // As many as were reconciled at the same time.
    assert!((1..=3).contains(&refused.len()), "{refused:?}");
    assert!(refused.iter().all(|write| write.starts_with("apply serviceaccounts")), "{refused:?}");
    let errors = &run.metrics.reconcile.errors;
    for reason in ["Terminating", "Unavailable", "Forbidden"] {
        assert_eq!(errors.with_label_values(&[reason]).get(), 0, "{reason}");
    }
    assert_eq!(run.metrics.events.dropped.get(), 0);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_refusal_names_the_field_of_the_resource() {
    let fake = Fake::new();
    let text = "Deployment.apps \"hello\" is invalid: spec.template.spec.priorityClassName: Invalid value: \"x\": no such class";
    fake.on_request(move |request| {
        (request.resource == "deployments" && request.verb == "apply")
            .then_some(Fault::RefuseSaying(422, text))
    });
    let run = Run::start(&fake);
    fake.create("mcpservers", server("hello")).unwrap();
    until("the condition", || ready(&fake, "hello") == "False/Rejected").await;
    assert_eq!(
        condition(&fake, "hello", "Ready").unwrap()["message"],
        "failed to apply Deployment shop/hello: Deployment.apps \"hello\" is invalid: spec.pod.priorityClassName: Invalid value: \
         \"x\": no such class (HTTP 422); change the field it names, or the policy"
    );
    run.stop().await;
}
