//! The configuration over HTTP, against an owner that answers as it is told.

use bellwether_domain::{
    ConfigApplied, ConfigDiff, ConfigOrigin, ConfigProblem, ConfigRefusal, ConfigText,
    ConfigVersion,
};
use serde_json::json;
use tokio::time::timeout;

use super::{Answer, DEADLINE, Gateway, plant::NOW, request};
use crate::{ConfigRequest, NewConfig};

const CONFIG: &str = "/api/v1/config";

/// Sends the text while the owner gives `outcome`; also what the owner was asked.
async fn put(
    gateway: &mut Gateway,
    address: &str,
    text: &str,
    matching: Option<&str>,
    outcome: Result<ConfigApplied, ConfigRefusal>,
) -> (Answer, NewConfig) {
    let mut asked = request("PUT", address)
        .header("x-bellwether", "1")
        .header("content-type", "application/toml");
    if let Some(tag) = matching {
        asked = asked.header("if-match", tag);
    }
    let asked = asked.body(axum::body::Body::from(text.to_owned())).unwrap();
    let router = gateway.router.clone();
    let sent = async move {
        let response = tower::ServiceExt::oneshot(router, asked).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    };
    let owner = async {
        let request = timeout(DEADLINE, gateway.config_requests.recv()).await.unwrap().unwrap();
        let ConfigRequest::Apply(new, reply) = request else { panic!("{request:?}") };
        reply.send(outcome).unwrap();
        new
    };
    tokio::join!(sent, owner)
}

#[tokio::test]
async fn a_new_configuration_is_answered_with_what_it_changed() {
    let mut gateway = Gateway::start().await;
    let outcome = ConfigApplied {
        version: 8,
        is_applied: true,
        diff: ConfigDiff {
            sources_unchanged: vec!["plc-1".to_owned()],
            sources_added: vec!["plc-2".to_owned()],
            tags_added: vec!["fan.speed".to_owned()],
            needs_restart: vec!["[http] listen".to_owned()],
            ..ConfigDiff::default()
        },
        warnings: Vec::new(),
    };
    // Larger than any other request may be.
    let text = format!("# {}\n", "x".repeat(1 << 20));
    let (answer, asked) = put(&mut gateway, CONFIG, &text, Some("\"7\""), Ok(outcome)).await;
    let body = answer.ok();
    assert_eq!((body["version"].as_u64(), body["is_applied"].as_bool()), (Some(8), Some(true)));
    assert_eq!(body["diff"]["sources"]["unchanged"], json!(["plc-1"]));
    assert_eq!(body["diff"]["sources"]["added"], json!(["plc-2"]));
    assert_eq!(body["diff"]["tags"]["added"], json!(["fan.speed"]));
    assert_eq!(body["diff"]["needs_restart"], json!(["[http] listen"]));
    assert_eq!(asked, NewConfig { text, expected: Some(7), is_trial: false });
    let trial = format!("{CONFIG}?dry_run=true");
    let (_, asked) = put(&mut gateway, &trial, "", None, Ok(ConfigApplied::default())).await;
    assert_eq!(asked, NewConfig { text: String::new(), expected: None, is_trial: true });
}

#[tokio::test]
async fn each_refusal_has_a_code_and_every_problem_its_place() {
    let mut gateway = Gateway::start().await;
    let problem = ConfigProblem {
        line: Some(12),
        column: Some(3),
        table: Some("[http]".to_owned()),
        key: Some("lisen".to_owned()),
        message: "unknown key `lisen`".to_owned(),
        ..ConfigProblem::default()
    };
    let outcome = Err(ConfigRefusal::Invalid(vec![problem, "no place".to_owned().into()]));
    let (answer, _) = put(&mut gateway, CONFIG, "", None, outcome).await;
    assert_eq!(
        answer.problem(422, "config_invalid"),
        "2 problems in the configuration: nothing was changed"
    );
    assert_eq!(
        answer.json()["problems"],
        json!([
            {"file": null, "line": 12, "column": 3, "key": "lisen", "message": "in [http]: unknown key `lisen`"},
            {"file": null, "line": null, "column": null, "key": null, "message": "no place"},
        ])
    );
    let rows = [
        (ConfigRefusal::Outdated { running: 9 }, 412, "config_outdated"),
        (ConfigRefusal::Edited { file: "b.toml".to_owned() }, 409, "config_edited"),
        (ConfigRefusal::Locked, 403, "config_locked"),
        (ConfigRefusal::Disk("full".to_owned()), 507, "config_not_kept"),
        (ConfigRefusal::Busy("the disk is behind"), 503, "busy"),
    ];
    for (refusal, status, code) in rows {
        let (answer, _) = put(&mut gateway, CONFIG, "", None, Err(refusal)).await;
        answer.problem(status, code);
    }
    let asked = request("PUT", CONFIG)
        .header("x-bellwether", "1")
        .header("if-match", "yesterday's")
        .body(axum::body::Body::empty());
    gateway.send(asked.unwrap()).await.problem(400, "bad_parameter");
}

#[tokio::test]
async fn what_runs_and_what_ran_can_be_read() {
    let mut gateway = Gateway::start().await;
    let requests = async |gateway: &mut Gateway| {
        let request = timeout(DEADLINE, gateway.config_requests.recv()).await.unwrap().unwrap();
        let text = |version| ConfigText { version, text: "[site]\n".to_owned() };
        match request {
            ConfigRequest::Current(reply) => reply.send(text(7)).unwrap(),
            ConfigRequest::Versions(reply) => {
                let version =
                    ConfigVersion { version: 7, at: NOW, origin: ConfigOrigin::Api, bytes: 7 };
                reply.send(Ok(vec![version])).unwrap();
            }
            ConfigRequest::Version(number, reply) => {
                reply.send(Ok((number == 6).then(|| text(6)))).unwrap();
            }
            ConfigRequest::Apply(..) => panic!("nobody applies anything"),
        }
    };
    let get = async |gateway: &mut Gateway, address: &str| {
        let router = gateway.router.clone();
        let asked = request("GET", address).body(axum::body::Body::empty()).unwrap();
        let sent = async move {
            let response = tower::ServiceExt::oneshot(router, asked).await.unwrap();
            let (status, headers) = (response.status(), response.headers().clone());
            let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
            Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
        };
        tokio::join!(sent, requests(gateway)).0
    };
    let answer = get(&mut gateway, CONFIG).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (200, "[site]\n"));
    assert_eq!(answer.headers["etag"], "\"7\"");
    let answer = get(&mut gateway, "/api/v1/config/versions").await;
    assert_eq!(answer.ok()["versions"][0]["origin"], "api");
    let answer = get(&mut gateway, "/api/v1/config/versions/6").await;
    assert_eq!(
        (answer.text.as_str(), &answer.headers["etag"]),
        ("[site]\n", &"\"6\"".parse().unwrap())
    );
    get(&mut gateway, "/api/v1/config/versions/3").await.problem(404, "not_found");
}
