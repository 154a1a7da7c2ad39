//! The whole operator against an API server in memory: what it costs, what it survives, and what it leaves alone.
//!
//! Time is simulated: waits pass at once when nothing else is to be done.

mod fake;
mod http;
mod merge;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::fake::{Fake, Fault};
use crate::world::{
    CHILDREN, NAMESPACE, Run, condition, quiet, reads, ready, requests, roll_out, server, set_cel, settled,
    until, writes,
};

#[tokio::test(start_paused = true)]
async fn a_new_resource_costs_one_write_a_child_and_at_most_three_of_its_status() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    until("ready", || run.readiness.check().is_ok()).await;
    fake.take_requests();

    fake.create("mcpservers", server("hello")).unwrap();
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    roll_out(&fake, "hello");
    let requests = requests(&fake).await;
    let writes = writes(&requests);
    let (statuses, children): (Vec<_>, Vec<_>) =
        writes.iter().partition(|write| write.starts_with("apply-status"));
    assert_eq!(
        children,
        [
            "apply serviceaccounts hello-mcp",
            "create secrets hello-api-key",
            "apply configmaps hello-config",
            "apply services hello",
            "apply deployments hello",
        ]
    );
    assert!(statuses.len() <= 3, "{statuses:?}");
    assert_eq!(reads(&requests).len(), 4, "one look for each name that an apply could adopt");
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_settled_resource_costs_nothing_and_neither_does_a_restart() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let before = fake.state().objects.clone();

    // A pass that has nothing to do: the label is nobody's business, but it wakes the resource's reconcile.
    fake.edit("mcpservers", NAMESPACE, "hello", |server| server["metadata"]["labels"] = json!({"team": "a"}));
    let passes = run.metrics.reconcile.total.with_label_values(&["unchanged"]).get();
    until("a pass", || run.metrics.reconcile.total.with_label_values(&["unchanged"]).get() > passes).await;
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(fake.take_requests(), []);
    run.stop().await;

    let run = Run::start(&fake);
    until("a pass", || run.metrics.reconcile.total.with_label_values(&["unchanged"]).get() > 0).await;
    let requests = requests(&fake).await;
    assert!(requests.iter().all(|request| request.verb == "list"), "{requests:?}");
    for (id, object) in &before {
        if id.0 != "mcpservers" {
            assert_eq!(fake.state().objects.get(id), Some(object), "{id:?}");
        }
    }
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_edit_costs_the_child_that_it_changes_and_two_statuses() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("mcpservers", NAMESPACE, "hello", |server| server["spec"]["replicas"] = json!(3));
    until("three replicas", || fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 3)
        .await;
    roll_out(&fake, "hello");
    let writes = writes(&requests(&fake).await);
    assert_eq!(
        writes.iter().filter(|write| write.starts_with("apply ")).collect::<Vec<_>>(),
        ["apply deployments hello"]
    );
    assert!(writes.len() <= 3, "{writes:?}");
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    run.stop().await;
}

/// What differs between two runs by nature is left out.
fn comparable(fake: &Fake) -> Vec<Value> {
    let state = fake.state();
    let objects = state.objects.iter().filter(|(id, _)| id.0 != "events");
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
                object["metadata"]["annotations"]
                    .as_object_mut()
                    .unwrap()
                    .remove("mcp-operator.dev/api-key-found");
            }
            let differs = objects.iter().zip(&reference).find(|(is, should)| is != should);
            assert_eq!(differs, None, "write {cut} met {fault:?}, killed: {kill}");
            assert_eq!(objects.len(), reference.len());
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_taken_is_reported_and_nothing_of_it_overwritten() {
    let fake = Fake::new();
    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "hello-config", "namespace": NAMESPACE}, "data": {"a": "b"}});
    let foreign = fake.create("configmaps", foreign).unwrap();
    let run = Run::start(&fake);
    fake.create("mcpservers", server("hello")).unwrap();
    until("the condition", || ready(&fake, "hello") == "False/NameConflict").await;
    assert!(
        condition(&fake, "hello", "Ready").unwrap()["message"].as_str().unwrap().contains("hello-config")
    );
    assert_eq!(fake.get("configmaps", NAMESPACE, "hello-config"), Some(foreign));
    for (resource, suffix) in [("serviceaccounts", "-mcp"), ("services", ""), ("secrets", "-api-key")] {
        assert!(fake.get(resource, NAMESPACE, &format!("hello{suffix}")).is_some(), "{resource}");
    }
    assert_eq!(fake.get("deployments", NAMESPACE, "hello"), None, "pods on somebody else's configuration");

    fake.take_requests();
    tokio::time::sleep(Duration::from_secs(300)).await;
    let asked = fake.take_requests();
    assert_eq!(writes(&asked), Vec::<String>::new());
    assert!(reads(&asked).len() <= 6, "more than one look a minute: {asked:?}");

    fake.delete("configmaps", NAMESPACE, "hello-config");
    until("the Deployment", || fake.get("deployments", NAMESPACE, "hello").is_some()).await;
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn an_invalid_edit_keeps_the_last_good_configuration() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let good = fake.get("configmaps", NAMESPACE, "hello-config");
    set_cel(&fake, "hello", "1 +");
    until("the condition", || ready(&fake, "hello") == "False/Invalid").await;
    let message = condition(&fake, "hello", "Ready").unwrap()["message"].clone();
    assert!(message.as_str().unwrap().contains("spec.config.tools[0].cel"), "{message}");
    assert_eq!(fake.get("configmaps", NAMESPACE, "hello-config"), good);
    set_cel(&fake, "hello", "\"mended\"");
    until("Ready", || ready(&fake, "hello") == "True/Ready").await;
    assert_ne!(fake.get("configmaps", NAMESPACE, "hello-config"), good);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_paused_resource_writes_nothing_until_it_goes_on() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("mcpservers", NAMESPACE, "hello", |server| {
        server["spec"]["paused"] = json!(true);
        server["spec"]["replicas"] = json!(5);
    });
    until("the condition", || condition(&fake, "hello", "Paused").is_some()).await;
    let written = writes(&requests(&fake).await);
    assert!(written.iter().all(|write| write.starts_with("apply-status")), "{written:?}");
    fake.edit("mcpservers", NAMESPACE, "hello", |server| server["spec"]["paused"] = json!(false));
    until("five replicas", || fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 5)
        .await;
    assert_eq!(condition(&fake, "hello", "Paused"), None);
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn drift_in_our_fields_is_reverted_and_others_fields_are_kept() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("deployments", NAMESPACE, "hello", |live| {
        live["spec"]["replicas"] = json!(7);
        live["metadata"]["annotations"]["example.com/note"] = json!("kept");
    });
    until("the old number", || fake.get("deployments", NAMESPACE, "hello").unwrap()["spec"]["replicas"] == 1)
        .await;
    roll_out(&fake, "hello");
    let written = writes(&requests(&fake).await);
    assert_eq!(written.iter().filter(|write| *write == "apply deployments hello").count(), 1, "{written:?}");
    let live = fake.get("deployments", NAMESPACE, "hello").unwrap();
    assert_eq!(live["metadata"]["annotations"]["example.com/note"], "kept");

    fake.edit("services", NAMESPACE, "hello", |live| {
        live["metadata"]["annotations"]["example.com/note"] = json!("x")
    });
    assert_eq!(writes(&requests(&fake).await), Vec::<String>::new());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn every_deleted_child_comes_back_the_key_too() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let key = fake.get("secrets", NAMESPACE, "hello-api-key").unwrap()["data"].clone();
    for (resource, suffix) in CHILDREN {
        let name = format!("hello{suffix}");
        fake.delete(resource, NAMESPACE, &name);
        let since = tokio::time::Instant::now();
        until(resource, || fake.get(resource, NAMESPACE, &name).is_some()).await;
        assert!(since.elapsed() < Duration::from_secs(5), "{resource} took {:?}", since.elapsed());
    }
    let rotated = fake.get("secrets", NAMESPACE, "hello-api-key").unwrap()["data"].clone();
    assert_ne!(key, rotated);
    roll_out(&fake, "hello");
    requests(&fake).await;
    assert_eq!(ready(&fake, "hello"), "True/Ready");
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_changed_configuration_nudges_each_pod_once_and_a_new_key_does_too() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    set_cel(&fake, "hello", "\"Good day\"");
    let written = writes(&requests(&fake).await);
    assert_eq!(written.iter().filter(|write| *write == "patch pods hello-0").count(), 1, "{written:?}");
    fake.delete("secrets", NAMESPACE, "hello-api-key");
    let written = writes(&requests(&fake).await);
    assert_eq!(
        written,
        ["create secrets hello-api-key", "apply configmaps hello-config", "patch pods hello-0"]
    );
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_key_that_somebody_brought_is_used_and_left_alone() {
    let fake = Fake::new();
    let brought = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "hello-api-key", "namespace": NAMESPACE}});
    let brought = fake.create("secrets", brought).unwrap();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    assert_eq!(fake.get("secrets", NAMESPACE, "hello-api-key"), Some(brought));
    run.stop().await;
    let run = Run::start(&fake);
    let asked = requests(&fake).await;
    assert!(asked.iter().all(|request| request.verb == "list"), "{asked:?}");

    // It goes; nothing tells of that but a pod that cannot start.
    fake.delete("secrets", NAMESPACE, "hello-api-key");
    assert_eq!(writes(&requests(&fake).await), Vec::<String>::new());
    fake.edit("pods", NAMESPACE, "hello-0", |pod| {
        pod["status"] = json!({"phase": "Pending", "startTime": "2026-01-01T00:00:00Z", "containerStatuses": [{
            "name": "mcp-server", "image": "i", "imageID": "", "ready": false, "restartCount": 0,
            "state": {"waiting": {"reason": "ContainerCreating"}}
        }]});
    });
    until("the key", || fake.get("secrets", NAMESPACE, "hello-api-key").is_some()).await;
    run.stop().await;
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
async fn children_of_a_former_resource_of_the_same_name_are_waited_for() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    let old = fake.get("deployments", NAMESPACE, "hello").unwrap()["metadata"]["uid"].clone();
    fake.recreate("mcpservers", server("hello"));
    until("the condition", || ready(&fake, "hello") == "False/NameConflict").await;
    assert_eq!(fake.get("deployments", NAMESPACE, "hello").unwrap()["metadata"]["uid"], old);
    let since = tokio::time::Instant::now();
    fake.collect_garbage();
    until("a new Deployment", || {
        fake.get("deployments", NAMESPACE, "hello").is_some_and(|new| new["metadata"]["uid"] != old)
    })
    .await;
    assert!(since.elapsed() < Duration::from_secs(5), "{:?}", since.elapsed());
    run.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_is_being_deleted_gets_no_child_back() {
    let fake = Fake::new();
    let run = Run::start(&fake);
    settled(&fake, "hello").await;
    fake.edit("mcpservers", NAMESPACE, "hello", |server| {
        server["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        server["metadata"]["generation"] = json!(9);
    });
    fake.delete("services", NAMESPACE, "hello");
    assert_eq!(writes(&requests(&fake).await), Vec::<String>::new());
    assert_eq!(fake.get("services", NAMESPACE, "hello"), None);
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
async fn several_namespaces_are_watched_and_no_other() {
    let fake = Fake::new();
    let run = Run::start_in(&fake, &["shop", "bank"]);
    for namespace in ["shop", "bank", "elsewhere"] {
        let mut server = server("hello");
        server["metadata"]["namespace"] = json!(namespace);
        fake.create("mcpservers", server).unwrap();
    }
    for namespace in ["shop", "bank"] {
        until(namespace, || fake.get("deployments", namespace, "hello").is_some()).await;
    }
    quiet(&fake).await;
    assert_eq!(fake.get("deployments", "elsewhere", "hello"), None);
    assert!(
        fake.state().requests.iter().all(|request| !request.namespace.is_empty()),
        "nothing cluster-wide is asked for"
    );
    run.stop().await;
}
