//! The published result of a collection is the same as the stored one.

use std::fs;

use tokio_util::sync::CancellationToken;

use super::*;
use crate::{
    app::collector::engine::{Engine, Sessions},
    bus::EventBus,
    config::{Config, directories::Environment},
    fleet::event::Trigger,
    sweep::descriptor_budget::Costs,
};

/// Runs `work` with the program's parts, a new database and one client on which nothing listens. Returns the stored and
/// the published results: status, stage, error, attempts, milliseconds.
async fn stored_and_told(work: impl AsyncFnOnce(&Engine, &Arc<Pipeline>)) -> (Vec<String>, Vec<String>) {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().display();
    let path = directory.path().join("config.xml");
    let text = format!(
        r#"<config><collector timeout="5s" retries="0"/><database url="sqlite:{folder}/fleetsweep.db"/>
        <smtp host="127.0.0.1" from="sweep@localhost"/><ssh known-hosts="{folder}/known_hosts"/>
        <client name="one" ip="127.0.0.1" port="{}" username="ops" password="secret"/></config>"#,
        support::free_port()
    );
    fs::write(&path, text).unwrap();
    let config = Config::load(&path).unwrap().config;
    let store = Store::open_configured(&config.database, &Environment::of_process()).await.unwrap();
    let (publisher, told) = Publisher::new();
    let bus = EventBus::start(told);
    let engine = Engine::new(&config, store, Costs::ELSEWHERE, publisher).await.unwrap();
    let pipeline = engine.pipeline(&config, Sessions::Closed).await.unwrap();
    work(&engine, &pipeline).await;
    let client = pipeline.clients()[0].id.clone();
    engine.store.close().await;
    drop((pipeline, engine));
    let fleet = bus.finish().await;
    let last = fleet.client(&client).unwrap().last.clone().unwrap();
    let failure = last.failure.unwrap();
    let told = [
        "failed".to_owned(),
        failure.stage.to_string(),
        failure.to_string(),
        last.attempts.to_string(),
        last.duration_ms.to_string(),
    ];
    let query = "SELECT status, stage, error, attempts, duration_ms FROM v1_collections";
    let stored = support::rows(&directory.path().join("fleetsweep.db"), query).await;
    let [stored] = stored.as_slice() else { panic!("not one collection: {stored:?}") };
    (stored.iter().map(|value| value.clone().unwrap()).collect(), told.to_vec())
}

#[tokio::test]
async fn a_collection_that_panics_is_stored_as_it_is_told() {
    let (stored, told) = stored_and_told(async |_, pipeline| {
        let outcome = pipeline.catch_panic(&pipeline.clients()[0], SweepId(Uuid::now_v7()), async { panic!("broken") });
        assert_eq!(outcome.await.unwrap_err().kind, FailureKind::Defect);
    })
    .await;
    assert_eq!(stored, told);
    assert_eq!(told[..4], ["failed", "queued", "internal error: see the log", "0"]);
}

#[tokio::test]
async fn a_collection_has_one_duration() {
    let (stored, told) = stored_and_told(async |engine, pipeline| {
        let due = engine.scheduler.claim(pipeline.clients());
        let sweep = SweepId(Uuid::now_v7());
        engine
            .scheduler
            .run_sweep(pipeline, sweep, (Trigger::Once, HeldLogins::Respected), due, &CancellationToken::new())
            .await;
    })
    .await;
    assert_eq!(stored, told);
    assert_eq!(told[..2], ["failed", "connect"]);
}
