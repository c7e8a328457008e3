//! What every request passes: DNS rebinding and cross-site requests are refused (OWASP ASVS 5.0: 3.5.1–3.5.3), slow
//! handlers are cut off, and every answer carries the security headers (ASVS 3.4.3–3.4.6, 14.3.2).

use std::{net::IpAddr, sync::Arc};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{
            CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, ORIGIN, REFERRER_POLICY,
            X_CONTENT_TYPE_OPTIONS,
        },
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse, Response},
};
use tokio::time::timeout;

use crate::{
    problem::{Problem, uniform},
    state::App,
};

/// Scripts, styles and data only from the gateway itself; no plug-ins, no framing, no HTML from strings.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; font-src 'self'; manifest-src 'self'; base-uri 'none'; \
    form-action 'self'; frame-ancestors 'none'; object-src 'none'; require-trusted-types-for 'script'";

/// The header that no foreign page can send without asking first.
const WRITE_HEADER: &str = "x-bellwether";

/// Whether the path belongs to programs rather than to pages.
pub(crate) fn is_api(path: &str) -> bool {
    path == "/api" || path.starts_with("/api/") || path == "/metrics" || path == "/healthz"
}

/// Around every route.
pub(crate) async fn guard(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let api = is_api(request.uri().path());
    let response = match check(request.method(), request.uri(), request.headers()) {
        Err(problem) => problem.into_response(),
        Ok(()) => match timeout(app.limits.request, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Problem::unavailable(
                "timeout",
                "the answer took too long: ask for less, or try again later",
            )
            .into_response(),
        },
    };
    let mut response = if api { uniform(response).await } else { response };
    secure(response.headers_mut(), api);
    response
}

fn secure(headers: &mut HeaderMap, api: bool) {
    let fixed = [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ];
    for (name, value) in fixed {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if api || !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Problem> {
    let host = host_of(uri, headers)?;
    if matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS) {
        return Ok(());
    }
    let forbidden = |code, detail: &str| Err(Problem::new(StatusCode::FORBIDDEN, code, detail));
    // Every browser names the origin of a change; programs (curl, SCADA) do not, and no foreign page can speak as one.
    let from_browser = headers.contains_key(ORIGIN) || headers.contains_key("sec-fetch-site");
    if from_browser && headers.get(WRITE_HEADER).is_none_or(|value| value != "1") {
        return forbidden(
            "header_missing",
            "a change from a page needs the header `X-Bellwether: 1`",
        );
    }
    let foreign_site =
        headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() != b"same-origin");
    let foreign_origin = headers.get(ORIGIN).is_some_and(|origin| !is_origin(origin, &host));
    if foreign_site || foreign_origin {
        return forbidden(
            "cross_site",
            "a change must come from the gateway's own pages: open the dashboard and do it there",
        );
    }
    Ok(())
}

/// The host the browser believes to talk to, if nobody else's DNS can have brought it here.
fn host_of(uri: &Uri, headers: &HeaderMap) -> Result<Authority, Problem> {
    let named = match uri.authority() {
        Some(authority) => Some(authority.clone()),
        None => headers.get(HOST).and_then(|host| Authority::try_from(host.as_bytes()).ok()),
    };
    named.filter(|authority| is_local_name(authority.host())).ok_or_else(|| {
        Problem::new(
            StatusCode::MISDIRECTED_REQUEST,
            "host_not_allowed",
            "the gateway does not answer to this host name: use its IP address, `localhost` or a \
             `.local` name",
        )
    })
}

/// Addresses and names that a foreign name server cannot point here: DNS rebinding needs a public name.
fn is_local_name(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let name = bare.trim_end_matches('.').to_ascii_lowercase();
    bare.parse::<IpAddr>().is_ok()
        || (!name.is_empty() && !name.contains('.') && !name.contains(':'))
        || name.ends_with(".localhost")
        || name.ends_with(".local")
}

fn is_origin(origin: &HeaderValue, host: &Authority) -> bool {
    Uri::try_from(origin.as_bytes()).is_ok_and(|origin| {
        matches!(origin.scheme_str(), Some("http" | "https"))
            && origin
                .authority()
                .is_some_and(|authority| authority.as_str().eq_ignore_ascii_case(host.as_str()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_cannot_be_rebound_are_answered() {
        #[track_caller]
        fn check(host: &str, expected: bool) {
            let uri = Uri::from_static("/");
            let mut headers = HeaderMap::new();
            headers.insert(HOST, host.parse().unwrap());
            assert_eq!(host_of(&uri, &headers).is_ok(), expected, "{host}");
        }
        check("127.0.0.1:8080", true);
        check("[::1]:8080", true);
        check("localhost", true);
        check("LocalHost:80", true);
        check("10.0.3.15", true);
        check("gateway-7", true);
        check("gateway-7.local:8080", true);
        check("evil.example", false);
        check("127.0.0.1.evil.example:8080", false);
        check("localhost.evil.example", false);
        check("evillocal.example", false);
        check("", false);
        check("a b", false);
        assert!(host_of(&Uri::from_static("/"), &HeaderMap::new()).is_err());
    }

    #[test]
    fn a_change_comes_from_the_gateways_own_pages_or_from_no_browser() {
        #[track_caller]
        fn write(headers: &[(&'static str, &'static str)], expected: Result<(), &str>) {
            let mut map = HeaderMap::new();
            map.insert(HOST, HeaderValue::from_static("localhost:8080"));
            for (name, value) in headers {
                map.insert(*name, HeaderValue::from_static(value));
            }
            let got = super::check(&Method::POST, &Uri::from_static("/api/v1/alarms/ack"), &map)
                .map_err(|problem| serde_json::to_value(problem).unwrap()["code"].clone());
            assert_eq!(got, expected.map_err(serde_json::Value::from), "{headers:?}");
        }
        let ours = ("x-bellwether", "1");
        write(&[ours], Ok(()));
        write(&[], Ok(()));
        write(&[("origin", "http://localhost:8080")], Err("header_missing"));
        write(&[("sec-fetch-site", "same-origin")], Err("header_missing"));
        write(&[("x-bellwether", "0"), ("sec-fetch-site", "same-origin")], Err("header_missing"));
        write(&[ours, ("origin", "http://localhost:8080")], Ok(()));
        write(&[ours, ("origin", "https://LOCALHOST:8080")], Ok(()));
        write(&[ours, ("origin", "http://localhost:9090")], Err("cross_site"));
        write(&[ours, ("origin", "http://evil.example")], Err("cross_site"));
        write(&[ours, ("origin", "null")], Err("cross_site"));
        write(&[ours, ("sec-fetch-site", "same-origin")], Ok(()));
        write(&[ours, ("sec-fetch-site", "same-site")], Err("cross_site"));
        write(&[ours, ("sec-fetch-site", "cross-site")], Err("cross_site"));
    }
}
