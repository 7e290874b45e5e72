//! The server: connections on the unix socket, one line per request, one line per answer.
//!
//! Bounds: [`MAX_CONNECTIONS`], [`MAX_LINE`], one request of a connection at a time and one answer, of a batch's,
//! too, [`ANSWER_TIME`] for an owner to answer and [`WRITE_TIME`] for a client to read.

use super::rpc::{self, Incoming, Line, METHODS, RpcError, Wanted};
use super::{Call, CallError};
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, oneshot};
use tracing::{debug, warn};

/// Most clients at a time; further ones are told so.
pub const MAX_CONNECTIONS: usize = 32;
/// Longest line, the line feed included.
pub const MAX_LINE: usize = 1 << 20;
/// How long the owner of the state may take to answer.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);
/// How long the state may take to be written.
pub const SAVE_TIME: Duration = Duration::from_secs(60);
/// How long a client may take to read an answer.
pub const WRITE_TIME: Duration = Duration::from_secs(30);

/// How long a client may take to be refused.
const REFUSAL_TIME: Duration = Duration::from_millis(100);

/// Who knows the owners of the state.
pub trait Router: Send + Sync + 'static {
    /// The bridges' names.
    fn bridges(&self) -> Vec<String>;

    /// Hands a call to its owner.
    ///
    /// # Errors
    /// There is no such bridge, or it has stopped.
    fn route(&self, bridge: Option<&str>, call: Call) -> Result<(), CallError>;
}

/// Serves until the task is dropped.
pub async fn serve(listener: UnixListener, router: Arc<dyn Router>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        match listener.accept().await {
            Ok((mut stream, _)) => {
                let Ok(permit) = room.clone().try_acquire_owned() else {
                    let e = RpcError::new(RpcError::FAILED, format!("{MAX_CONNECTIONS} clients are connected already"));
                    let text = rpc::response(Value::Null, Err(e)).to_string() + "\n";
                    // Nobody else waits longer for whoever doesn't read it.
                    let _ = tokio::time::timeout(REFUSAL_TIME, stream.write_all(text.as_bytes())).await;
                    continue;
                };
                let router = router.clone();
                tokio::spawn(async move {
                    if let Err(e) = connection(stream, router.as_ref()).await {
                        debug!(error = %e, "management connection ended");
                    }
                    drop(permit);
                });
            }
            Err(e) => {
                // Out of file descriptors, most likely: wait for some to come back.
                warn!(error = %e, "can't accept a management connection");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn connection(stream: UnixStream, router: &dyn Router) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = Vec::new();
    loop {
        line.clear();
        let n = (&mut read).take(MAX_LINE as u64 + 1).read_until(b'\n', &mut line).await?;
        if n == 0 {
            return Ok(());
        }
        if line.len() > MAX_LINE {
            let e = RpcError::new(RpcError::INVALID, format!("a line of more than {MAX_LINE} bytes"));
            return say(&mut write, "", &rpc::response(Value::Null, Err(e)), "\n").await;
        }
        if !line.iter().all(u8::is_ascii_whitespace) {
            answer(&line, router, &mut write).await?;
        }
    }
}

/// Writes an answer between what comes before it and after it.
async fn say(to: &mut (impl AsyncWrite + Unpin), before: &str, answer: &Value, after: &str) -> std::io::Result<()> {
    let text = format!("{before}{answer}{after}");
    tokio::time::timeout(WRITE_TIME, to.write_all(text.as_bytes())).await?
}

/// Answers a line; notifications get nothing. A batch's answers go out one by one: together they might be more than
/// there is memory for.
async fn answer(line: &[u8], router: &dyn Router, to: &mut (impl AsyncWrite + Unpin)) -> std::io::Result<()> {
    match rpc::parse(line) {
        Line::One(request) => match one(request, router).await {
            Some(answer) => say(to, "", &answer, "\n").await,
            None => Ok(()),
        },
        Line::Batch(requests) => {
            let mut before = "[";
            for request in requests {
                if let Some(answer) = one(request, router).await {
                    say(to, before, &answer, "").await?;
                    before = ",";
                }
            }
            if before == "[" { Ok(()) } else { tokio::time::timeout(WRITE_TIME, to.write_all(b"]\n")).await? }
        }
    }
}

async fn one(request: Incoming, router: &dyn Router) -> Option<Value> {
    let result = match request.wanted {
        Err(e) => Err(e),
        Ok(Wanted::Bridges) => Ok(json!(router.bridges())),
        Ok(Wanted::Methods) => {
            Ok(METHODS.iter().map(|(n, p, d)| json!({"method": n, "params": p, "does": d})).collect())
        }
        Ok(Wanted::Call { bridge, request }) => call(bridge.as_deref(), request, router).await,
    };
    request.id.map(|id| rpc::response(id, result))
}

async fn call(bridge: Option<&str>, request: super::Request, router: &dyn Router) -> Result<Value, RpcError> {
    let (reply, answer) = oneshot::channel();
    // The disk takes its time for a million flows; nobody waits but the client.
    let time = if request == super::Request::SaveState { SAVE_TIME } else { ANSWER_TIME };
    router.route(bridge, Call { request, reply })?;
    match tokio::time::timeout(time, answer).await {
        Ok(Ok(answer)) => Ok(answer?),
        Ok(Err(_)) => Err(RpcError::new(RpcError::INTERNAL, "the request was dropped unanswered")),
        Err(_) => Err(RpcError::new(RpcError::INTERNAL, format!("no answer in {} s", time.as_secs()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::management::{Request, socket};

    struct Fake;
    impl Router for Fake {
        fn bridges(&self) -> Vec<String> {
            vec!["a".into(), "b".into()]
        }
        fn route(&self, bridge: Option<&str>, call: Call) -> Result<(), CallError> {
            let bridge = bridge.ok_or_else(|| CallError::BadParams("which bridge?".into()))?;
            match call.request {
                Request::Status => call.reply.send(Ok(json!({"name": bridge}))).unwrap(),
                Request::Tables => drop(call),
                _ => return Err(CallError::Failed("no".into())),
            }
            Ok(())
        }
    }

    async fn ask(lines: &[u8]) -> Vec<Value> {
        let dir = tempfile::tempdir().unwrap();
        let (listener, file) = socket::listen(&dir.path().join("m")).unwrap();
        let server = tokio::spawn(serve(UnixListener::from_std(listener).unwrap(), Arc::new(Fake)));
        let mut client = UnixStream::connect(file.path()).await.unwrap();
        client.write_all(lines).await.unwrap();
        client.shutdown().await.unwrap();
        let mut text = String::new();
        client.read_to_string(&mut text).await.unwrap();
        server.abort();
        text.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    fn code(v: &Value) -> i64 {
        v["error"]["code"].as_i64().unwrap()
    }

    #[tokio::test]
    async fn answers_come_in_order_and_notifications_get_none() {
        let got = ask(br#"{"id":1,"method":"status","params":{"bridge":"a"}}
{"method":"status","params":{"bridge":"a"}}

{"id":2,"method":"bridges"}
{"id":3,"method":"status"}
{"id":4,"method":"tables","params":{"bridge":"a"}}
{"id":5,"method":"ports","params":{"bridge":"a"}}
[{"id":6,"method":"bridges"},{"method":"bridges"},3]
[{"method":"bridges"}]
nonsense
{"id":7,"method":"methods"}"#)
        .await;
        assert_eq!(got.len(), 8);
        assert_eq!(got[0], json!({"jsonrpc":"2.0","id":1,"result":{"name":"a"}}));
        assert_eq!(got[1]["result"], json!(["a", "b"]));
        assert_eq!(code(&got[2]), -32602);
        assert_eq!(code(&got[3]), -32603, "a dropped call is an error, not a hang");
        assert_eq!(code(&got[4]), -32000);
        assert_eq!(got[5].as_array().map(Vec::len), Some(2));
        assert_eq!(code(&got[6]), -32700);
        assert_eq!(got[7]["result"].as_array().map(Vec::len), Some(METHODS.len()));
    }

    #[tokio::test]
    async fn a_line_without_end_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let (listener, file) = socket::listen(&dir.path().join("m")).unwrap();
        let server = tokio::spawn(serve(UnixListener::from_std(listener).unwrap(), Arc::new(Fake)));
        let mut client = UnixStream::connect(file.path()).await.unwrap();
        let long = vec![b' '; MAX_LINE + 1];
        // The server may close before it has read all of it.
        let _ = client.write_all(&long).await;
        let mut text = String::new();
        let _ = client.read_to_string(&mut text).await;
        assert!(text.contains("more than"), "{text}");
        server.abort();
    }

    #[tokio::test]
    async fn one_client_too_many_is_told_so_and_the_next_has_the_place_of_one_that_left() {
        let dir = tempfile::tempdir().unwrap();
        let (listener, file) = socket::listen(&dir.path().join("m")).unwrap();
        let server = tokio::spawn(serve(UnixListener::from_std(listener).unwrap(), Arc::new(Fake)));
        let mut idle = Vec::new();
        for _ in 0..MAX_CONNECTIONS {
            idle.push(UnixStream::connect(file.path()).await.unwrap());
        }
        let mut text = String::new();
        let mut late = UnixStream::connect(file.path()).await.unwrap();
        late.read_to_string(&mut text).await.unwrap();
        assert!(text.contains("32 clients are connected already"), "{text}");
        idle.pop();
        // The server notices at its own pace.
        loop {
            let mut next = UnixStream::connect(file.path()).await.unwrap();
            let _ = next.write_all(b"{\"id\":1,\"method\":\"bridges\"}\n").await;
            let mut answer = vec![0; 256];
            let n = next.read(&mut answer).await.unwrap_or(0);
            if String::from_utf8_lossy(&answer[..n]).contains("[\"a\",\"b\"]") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        server.abort();
    }
}
