//! What can be asked, and by whom.

use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use bootstrap::Request as Ask;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Bytes, Incoming};
use hyper::{Method, Request, Response, StatusCode};
use nodeconf::NodeConfig;
use nodeconf::servers::{DISMISS, Dismissal, INTRODUCE, Introduction, Noted};
use rustls::pki_types::CertificateDer;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::keys::is_named;
use super::roll::{Refusal, Roll, is_one_of_several};
use super::served::{Probed, served};
use super::voter::Voter;
use crate::finding::Condition;
use crate::sys::{Priority, Sys};

/// Longest request; one names every server of the cluster, some 100 bytes each.
const BODY_LIMIT: usize = 16 * 1024;
/// For sending it.
const BODY_TIME: Duration = Duration::from_secs(5);

/// The node that is asked.
pub(super) struct Witness {
    pub(super) sys: Rc<dyn Sys>,
    pub(super) config: NodeConfig,
    pub(super) voter: Option<Voter>,
    pub(super) roll: Roll,
    pub(super) probed: Probed,
    /// What the journal was last told is the matter.
    pub(super) complaint: RefCell<Option<Condition>>,
}

impl Witness {
    /// Takes up the state as an asker would, so that the journal knows what would keep us.
    pub(super) fn look(&self) {
        if let Some(Err(trouble)) = self.voter.as_ref().map(|voter| voter.view(self.sys.as_ref())) {
            unable(self, trouble);
        }
    }
}

/// Who asks.
#[derive(Clone, Copy)]
pub(super) struct Asker<'a> {
    pub(super) certificate: &'a CertificateDer<'a>,
    pub(super) from: IpAddr,
}

/// An answer: HTTP status, and JSON.
type Answer = (StatusCode, Vec<u8>);

/// Answers `asker`.
pub(super) async fn answer(
    witness: &Witness,
    asker: Asker<'_>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let method = request.method().clone();
    let (status, body) = match request.uri().path() {
        "/v1/status" if method == Method::GET => status(witness).await,
        "/v1/state" if method == Method::GET => state(witness),
        path if VOTES.contains(&path) && method == Method::POST => {
            vote(witness, asker, request).await.unwrap_or_else(|refused| refused)
        }
        INTRODUCE if method == Method::POST => {
            introduce(witness, asker, request).await.unwrap_or_else(|refused| refused)
        }
        DISMISS if method == Method::POST => {
            dismiss(witness, request).await.unwrap_or_else(|refused| refused)
        }
        path if VOTES.contains(&path) || OTHERS.contains(&path) => {
            complain(StatusCode::METHOD_NOT_ALLOWED, "not with this method")
        }
        _ => complain(StatusCode::NOT_FOUND, "there is nothing under this path"),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(hyper::header::CONTENT_TYPE, json);
    response
}

/// Paths of the rules' requests ([`Ask::path`]).
const VOTES: [&str; 5] = ["/v1/ask", "/v1/prepare", "/v1/accept", "/v1/formed", "/v1/slot"];
const OTHERS: [&str; 4] = ["/v1/status", "/v1/state", INTRODUCE, DISMISS];

async fn status(witness: &Witness) -> Answer {
    let Witness { sys, config, voter, probed, .. } = witness;
    json(&served(sys.as_ref(), config, voter.as_ref(), probed).await)
}

fn state(witness: &Witness) -> Answer {
    match &witness.voter {
        None => complain(StatusCode::NOT_FOUND, NO_VOTE),
        Some(voter) => match voter.view(witness.sys.as_ref()) {
            Ok(view) => json(&view),
            Err(trouble) => unable(witness, trouble),
        },
    }
}

const NO_VOTE: &str = "this node has no vote: only servers with embedded etcd do";

async fn vote(
    witness: &Witness,
    asker: Asker<'_>,
    request: Request<Incoming>,
) -> Result<Answer, Answer> {
    let voter = witness.voter.as_ref().ok_or_else(|| complain(StatusCode::NOT_FOUND, NO_VOTE))?;
    let path = request.uri().path().to_owned();
    let ask = parse(&path, &body(request).await?)?;
    in_its_own_name(witness, asker, &ask.from().name)?;
    match voter.answer(witness.sys.as_ref(), &ask) {
        Ok(reply) => {
            recovered(witness);
            Ok(json(&reply))
        }
        Err(trouble) => Err(unable(witness, trouble)),
    }
}

/// Takes a server in that came after this card was baked.
async fn introduce(
    witness: &Witness,
    asker: Asker<'_>,
    request: Request<Incoming>,
) -> Result<Answer, Answer> {
    let server: Introduction = among_servers(witness, request).await?;
    in_its_own_name(witness, asker, &server.name)?;
    let Witness { sys, config, roll, .. } = witness;
    noted(witness, roll.introduce(sys.as_ref(), config, &server, asker.from))
}

/// Takes a server out. Whoever is let in at all may ask for it: the operator, and servers, each of
/// which holds the cluster's CAs.
async fn dismiss(witness: &Witness, request: Request<Incoming>) -> Result<Answer, Answer> {
    let Dismissal { name } = among_servers(witness, request).await?;
    let Witness { sys, config, roll, .. } = witness;
    noted(witness, roll.dismiss(sys.as_ref(), config, &name))
}

async fn among_servers<T: DeserializeOwned>(
    witness: &Witness,
    request: Request<Incoming>,
) -> Result<T, Answer> {
    if !is_one_of_several(&witness.config) {
        return Err(complain(StatusCode::NOT_FOUND, "this node is no server of several"));
    }
    from_json(&body(request).await?)
}

fn noted(witness: &Witness, outcome: Result<Noted, Refusal>) -> Result<Answer, Answer> {
    match outcome {
        Ok(noted) => Ok(json(&noted)),
        Err(Refusal::Forbidden(why)) => Err(complain(StatusCode::FORBIDDEN, &why)),
        Err(Refusal::Conflict(why)) => Err(complain(StatusCode::CONFLICT, &why)),
        Err(Refusal::Unable(trouble)) => Err(unable(witness, trouble)),
    }
}

fn in_its_own_name(witness: &Witness, asker: Asker<'_>, name: &str) -> Result<(), Answer> {
    if is_named(asker.certificate, &witness.config.witness_name(name)) {
        return Ok(());
    }
    let why = "the certificate is not the one of the server that asks";
    Err(complain(StatusCode::FORBIDDEN, why))
}

fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Answer> {
    serde_json::from_slice(body)
        .map_err(|e| complain(StatusCode::BAD_REQUEST, &format!("the request: {e}")))
}

fn parse(path: &str, body: &[u8]) -> Result<Ask, Answer> {
    let ask: Ask = from_json(body)?;
    if ask.path() != path {
        return Err(complain(StatusCode::BAD_REQUEST, "the request belongs under another path"));
    }
    Ok(ask)
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Answer> {
    let too_long = || complain(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long");
    if request.body().size_hint().lower() > BODY_LIMIT as u64 {
        return Err(too_long());
    }
    let collected = Limited::new(request.into_body(), BODY_LIMIT).collect();
    match tokio::time::timeout(BODY_TIME, collected).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(e)) if e.is::<LengthLimitError>() => Err(too_long()),
        Ok(Err(_)) => Err(complain(StatusCode::BAD_REQUEST, "the request is cut off")),
        Err(_) => Err(complain(StatusCode::REQUEST_TIMEOUT, "the request takes too long")),
    }
}

fn json(value: &impl Serialize) -> Answer {
    match serde_json::to_vec(value) {
        Ok(body) => (StatusCode::OK, body),
        Err(e) => complain(StatusCode::INTERNAL_SERVER_ERROR, &e.to_string()),
    }
}

fn complain(status: StatusCode, why: &str) -> Answer {
    (status, serde_json::json!({ "error": why }).to_string().into_bytes())
}

/// Tells the asker, and once the journal, what keeps us from promising anything.
fn unable(witness: &Witness, trouble: Condition) -> Answer {
    let why = format!("{}; {}", trouble.what, trouble.remedy);
    if witness.complaint.replace(Some(trouble.clone())).as_ref() != Some(&trouble) {
        witness.sys.say(Priority::Error, &format!("witness: {why}"));
    }
    complain(StatusCode::SERVICE_UNAVAILABLE, &why)
}

fn recovered(witness: &Witness) {
    if witness.complaint.take().is_some() {
        witness.sys.say(Priority::Notice, "witness: it can promise again");
    }
}
