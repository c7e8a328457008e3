//! Everything that changes something.

use bellwether_domain::{AlarmId, AssetId, Command, CommandError, Outcome};
use serde_json::json;
use tokio::time::timeout;

use super::{DEADLINE, Gateway, plant::PUMP, request};
use crate::CommandRequest;

/// Answers one command like the engine would, and returns what was asked.
async fn answer(gateway: &mut Gateway, verdict: Result<Outcome, CommandError>) -> Command {
    let request = timeout(DEADLINE, gateway.commands.recv()).await.unwrap().unwrap();
    request.reply.send(verdict).unwrap();
    request.command
}

/// Sends `body` while a fake engine gives `verdict`.
async fn post(
    gateway: &mut Gateway,
    address: &str,
    body: &str,
    verdict: Result<Outcome, CommandError>,
) -> (super::Answer, Command) {
    let router = gateway.router.clone();
    let asked = request("POST", address)
        .header("x-bellwether", "1")
        .header("content-type", "application/json")
        .body(axum::body::Body::from(body.to_owned()))
        .unwrap();
    let sent = async move {
        let response = tower::ServiceExt::oneshot(router, asked).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
        super::Answer { status, headers, text: String::from_utf8(bytes.to_vec()).unwrap() }
    };
    tokio::join!(sent, answer(gateway, verdict))
}

const ACK: &str = "/api/v1/alarms/ack";

#[tokio::test]
async fn an_acknowledgement_reaches_the_engine_with_a_name() {
    let mut gateway = Gateway::start().await;
    let body = r#"{"ids":["18446744073709551615", 7, "7"],"actor":" Zoë "}"#;
    let alarms = vec![AlarmId(7), AlarmId(u64::MAX)];
    let done = Outcome { acknowledged: alarms.clone(), ..Outcome::default() };
    let (answer, command) = post(&mut gateway, ACK, body, Ok(done)).await;
    assert_eq!(answer.ok(), json!({"acknowledged": 2, "already": [], "unknown": []}));
    assert_eq!(command, Command::Acknowledge { alarms, actor: "Zoë".to_owned() });
}

#[tokio::test]
async fn an_acknowledgement_says_what_became_of_each_alarm() {
    let mut gateway = Gateway::start().await;
    let done = Outcome {
        acknowledged: vec![AlarmId(7)],
        already: vec![AlarmId(8)],
        unknown: vec![AlarmId(9)],
    };
    let (answer, _) = post(&mut gateway, ACK, r#"{"ids":["7","8","9"]}"#, Ok(done)).await;
    assert_eq!(answer.ok(), json!({"acknowledged": 1, "already": ["8"], "unknown": ["9"]}));
}

#[tokio::test]
async fn the_engines_refusal_reaches_the_person() {
    let mut gateway = Gateway::start().await;
    let refusal = Err(CommandError::AlarmNotActive(AlarmId(9)));
    let (answer, _) = post(&mut gateway, ACK, r#"{"ids":["9"]}"#, refusal).await;
    let text = answer.problem(409, "alarm_not_active");
    assert_eq!(text, "alarm 9 is not active: reload the list of alarms");
}

#[tokio::test]
async fn a_repair_is_logged_for_the_asset_of_that_id() {
    let mut gateway = Gateway::start().await;
    let address = format!("/api/v1/assets/{PUMP}/maintenance");
    let body = r#"{"note":"bearing changed\nSKF 6205"}"#;
    let (answer, command) = post(&mut gateway, &address, body, Ok(Outcome::default())).await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (204, ""));
    let expected = Command::MaintenanceDone {
        asset: AssetId(0),
        actor: "dashboard".to_owned(),
        note: "bearing changed\nSKF 6205".to_owned(),
    };
    assert_eq!(command, expected);
}

#[tokio::test]
async fn a_wrong_body_is_refused_and_the_field_is_named() {
    let mut gateway = Gateway::start().await;
    let long = format!(r#"{{"ids":["1"],"actor":"{}"}}"#, "a".repeat(65));
    let rows = [
        (r#"{"ids":[]}"#, 400, "bad_parameter", "`ids` must list"),
        (r#"{"ids":["x"]}"#, 400, "bad_parameter", "`ids` must be ids"),
        (r#"{"ids":["1"],"actor":""}"#, 400, "bad_parameter", "`actor` must be"),
        (r#"{"ids":["1"],"actor":"a\u0007"}"#, 400, "bad_parameter", "`actor` must be"),
        (&long, 400, "bad_parameter", "`actor` must be"),
        (r#"{"ids":["1"],"force":true}"#, 422, "bad_request", "force"),
        (r#"{"ids":5}"#, 422, "bad_request", "ids"),
        (r#"{"#, 400, "bad_request", "EOF"),
    ];
    for (body, status, code, words) in rows {
        let text = gateway.post(ACK, body).await.problem(status, code);
        assert!(text.contains(words), "{body}: {text}");
    }
    gateway.post("/api/v1/assets/none/maintenance", "{}").await.problem(404, "not_found");
    assert!(gateway.commands.try_recv().is_err(), "nothing of this may reach the engine");
}

#[tokio::test]
async fn a_body_that_is_too_large_or_no_json_is_refused() {
    let gateway = Gateway::start().await;
    let large = format!(r#"{{"ids":["{}"]}}"#, "1".repeat(70_000));
    gateway.post(ACK, &large).await.problem(413, "too_large");
    let form = request("POST", ACK).header("x-bellwether", "1");
    let answer = gateway.send(form.body("ids=1".into()).unwrap()).await;
    answer.problem(415, "not_json");
}

#[tokio::test]
async fn a_foreign_page_cannot_change_anything() {
    let mut gateway = Gateway::start().await;
    let body = || axum::body::Body::from(r#"{"ids":["1"]}"#);
    let json = || request("POST", ACK).header("content-type", "application/json");
    let page = json().header("sec-fetch-site", "same-origin");
    let plain = gateway.send(page.body(body()).unwrap()).await;
    plain.problem(403, "header_missing");
    let marked = || json().header("x-bellwether", "1");
    let foreign = marked().header("origin", "https://evil.example").body(body()).unwrap();
    gateway.send(foreign).await.problem(403, "cross_site");
    let site = marked().header("sec-fetch-site", "cross-site").body(body()).unwrap();
    gateway.send(site).await.problem(403, "cross_site");
    assert!(gateway.commands.try_recv().is_err(), "nothing of this may reach the engine");
}

#[tokio::test]
async fn a_full_command_queue_is_answered_at_once() {
    let gateway = Gateway::start().await;
    let (reply, _keep) = tokio::sync::oneshot::channel();
    let command = Command::Acknowledge { alarms: Vec::new(), actor: "x".to_owned() };
    gateway.web.commands.try_send(CommandRequest { command, reply }).unwrap();
    let answer = gateway.post(ACK, r#"{"ids":["1"]}"#).await;
    answer.problem(503, "busy");
    assert_eq!(answer.headers["retry-after"], "1");
}

#[tokio::test]
async fn a_silent_or_stopped_engine_is_told_from_a_refusal() {
    let mut gateway = Gateway::start().await;
    gateway.post(ACK, r#"{"ids":["1"]}"#).await.problem(503, "no_reply");
    drop(gateway.commands.try_recv().unwrap());
    gateway.commands.close();
    gateway.post(ACK, r#"{"ids":["1"]}"#).await.problem(503, "stopping");
}
