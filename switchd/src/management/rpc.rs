//! JSON-RPC 2.0: a line's text to requests, and answers to text. No socket here.

use super::{CallError, Request, TracePacket};
use serde_json::{Map, Value, json};

/// Most requests of one batch.
pub const MAX_BATCH: usize = 64;

/// The methods, with their parameters and what they do; `methods` returns it, and an unknown method's
/// error names them.
pub const METHODS: &[(&str, &str, &str)] = &[
    ("status", "", "datapath id, fail mode, and numbers of ports, flows and connections"),
    ("ports", "", "ports with their numbers, states and counters"),
    ("flows", "table?, filter?", "flow entries with their counters"),
    ("tables", "", "flow tables' occupancy and lookups"),
    ("groups", "", "groups with buckets and counters"),
    ("meters", "", "meters with bands and counters"),
    ("connections", "", "connections: controllers, also those that are waited for, and tools"),
    ("counters", "", "all counters by name, drops by reason among them"),
    ("learned", "", "addresses that NORMAL knows, with their VLANs, ports and ages"),
    ("forget-learned", "", "lets NORMAL learn all addresses anew"),
    ("trace", "in_port, packet | flow", "what the pipeline does with a packet, step by step"),
    ("add-port", "port", "opens a port given as in --port"),
    ("del-port", "port", "closes a port given by name or number"),
    ("queues", "", "ports' queues with their rates and counters"),
    ("add-queue", "queue", "makes a queue given as in --queue"),
    ("del-queue", "port, id", "takes a port's queue away"),
    ("controllers", "", "whom the bridge dials, as in --controller"),
    ("set-controllers", "controllers", "dials these instead, a list of targets as in --controller"),
    ("set-fail-mode", "mode", "what to do without a connected controller, as in --fail-mode"),
    ("set-log", "filter", "replaces the log filter"),
    ("metrics", "", "all counters as Prometheus text"),
    ("bridges", "", "the bridges' names"),
    ("methods", "", "this list"),
    ("save-state", "", "writes flows, groups and meters where `--state` says"),
    ("stop", "", "ends the daemon in order"),
];

/// What a request wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// An answer of the state's owner.
    Call {
        /// Which bridge; `None` if there is only one to mean.
        bridge: Option<String>,
        /// What.
        request: Request,
    },
    /// The bridges' names.
    Bridges,
    /// [`METHODS`].
    Methods,
}

/// One request of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// What goes back with the answer; `None` for a notification, which gets none.
    pub id: Option<Value>,
    /// What it wants, or the error to answer with.
    pub wanted: Result<Wanted, RpcError>,
}

/// A JSON-RPC error (JSON-RPC 2.0 §5.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcError {
    /// Its number.
    pub code: i32,
    /// In words.
    pub message: String,
}

impl RpcError {
    /// The line is no JSON.
    pub const PARSE: i32 = -32700;
    /// The JSON is no request.
    pub const INVALID: i32 = -32600;
    /// There is no such method.
    pub const NO_METHOD: i32 = -32601;
    /// The parameters are wrong.
    pub const BAD_PARAMS: i32 = -32602;
    /// Nobody answered.
    pub const INTERNAL: i32 = -32603;
    /// There is no such bridge, port, … (own number).
    pub const NOT_FOUND: i32 = -32001;
    /// It can't be done (own number).
    pub const FAILED: i32 = -32000;

    /// An error.
    pub fn new(code: i32, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}

impl From<CallError> for RpcError {
    fn from(e: CallError) -> Self {
        match e {
            CallError::BadParams(m) => Self::new(Self::BAD_PARAMS, m),
            CallError::NotFound(m) => Self::new(Self::NOT_FOUND, m),
            CallError::Failed(m) => Self::new(Self::FAILED, m),
        }
    }
}

/// A parsed line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// One request.
    One(Incoming),
    /// A batch, answered as one list.
    Batch(Vec<Incoming>),
}

/// Reads a line.
pub fn parse(line: &[u8]) -> Line {
    match serde_json::from_slice::<Value>(line) {
        Err(e) => Line::One(refused(Value::Null, RpcError::PARSE, format!("not JSON: {e}"))),
        Ok(Value::Array(list)) if list.is_empty() => {
            Line::One(refused(Value::Null, RpcError::INVALID, "an empty batch".into()))
        }
        Ok(Value::Array(list)) if list.len() > MAX_BATCH => {
            let reason = format!("a batch of {} requests; {MAX_BATCH} at most", list.len());
            Line::One(refused(Value::Null, RpcError::INVALID, reason))
        }
        Ok(Value::Array(list)) => Line::Batch(list.into_iter().map(incoming).collect()),
        Ok(value) => Line::One(incoming(value)),
    }
}

fn refused(id: Value, code: i32, message: String) -> Incoming {
    Incoming { id: Some(id), wanted: Err(RpcError { code, message }) }
}

fn incoming(value: Value) -> Incoming {
    let Value::Object(mut object) = value else {
        return refused(Value::Null, RpcError::INVALID, "a request is an object".into());
    };
    let id = object.remove("id");
    if let Some(bad) = id.as_ref().filter(|i| !(i.is_string() || i.is_number() || i.is_null())) {
        return refused(Value::Null, RpcError::INVALID, format!("`id` can't be {}", kind(bad)));
    }
    // Fractions are rounded when they are read: the client wouldn't know its own number again.
    if id.as_ref().is_some_and(|i| i.is_f64() && i.to_string().parse().ok() != Some(i.clone())) {
        return refused(Value::Null, RpcError::INVALID, "`id` is a number with too many digits".into());
    }
    let invalid = |m: &str| refused(id.clone().unwrap_or(Value::Null), RpcError::INVALID, m.into());
    if object.get("jsonrpc").is_some_and(|v| v != "2.0") {
        return invalid("`jsonrpc` must be \"2.0\"");
    }
    let Some(Value::String(method)) = object.remove("method") else {
        return invalid("`method` is missing or no string");
    };
    let params = match object.remove("params") {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(m)) => m,
        Some(other) => {
            return invalid(&format!("`params` is {}; expected an object of named parameters", kind(&other)));
        }
    };
    Incoming { id, wanted: wanted(&method, params) }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

/// Named parameters, taken one by one; what remains is unknown.
struct Params(Map<String, Value>);

impl Params {
    fn string(&mut self, key: &str) -> Result<Option<String>, RpcError> {
        match self.0.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(s)) => Ok(Some(s)),
            Some(other) => Err(bad(format!("`{key}` is {}; expected a string", kind(&other)))),
        }
    }

    fn required(&mut self, key: &str) -> Result<String, RpcError> {
        self.string(key)?.ok_or_else(|| bad(format!("`{key}` is missing")))
    }

    fn strings(&mut self, key: &str) -> Result<Vec<String>, RpcError> {
        let list = match self.0.remove(key) {
            Some(Value::Array(list)) => list,
            Some(other) => return Err(bad(format!("`{key}` is {}; expected a list of strings", kind(&other)))),
            None => return Err(bad(format!("`{key}` is missing"))),
        };
        let text = |v: Value| match v {
            Value::String(s) => Ok(s),
            other => Err(bad(format!("`{key}` holds {}; expected strings", kind(&other)))),
        };
        list.into_iter().map(text).collect()
    }

    fn name_or_number(&mut self, key: &str) -> Result<String, RpcError> {
        match self.0.get(key) {
            Some(Value::Number(n)) => {
                let n = n.to_string();
                self.0.remove(key);
                Ok(n)
            }
            _ => self.required(key),
        }
    }

    fn number(&mut self, key: &str, most: u64) -> Result<Option<u64>, RpcError> {
        match self.0.remove(key) {
            None | Some(Value::Null) => Ok(None),
            Some(v) => match v.as_u64().filter(|n| *n <= most) {
                Some(n) => Ok(Some(n)),
                None => Err(bad(format!("`{key}` is {v}; expected a number from 0 to {most}"))),
            },
        }
    }

    fn end(self) -> Result<(), RpcError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(key) => Err(bad(format!("unknown parameter `{key}`"))),
        }
    }
}

fn bad(message: String) -> RpcError {
    RpcError { code: RpcError::BAD_PARAMS, message }
}

fn wanted(method: &str, params: Map<String, Value>) -> Result<Wanted, RpcError> {
    let mut p = Params(params);
    let bridge = p.string("bridge")?;
    let request = match method {
        "status" => Request::Status,
        "ports" => Request::Ports,
        "flows" => Request::Flows { table: p.number("table", 254)?.map(|n| n as u8), filter: p.string("filter")? },
        "tables" => Request::Tables,
        "groups" => Request::Groups,
        "meters" => Request::Meters,
        "connections" => Request::Connections,
        "counters" => Request::Counters,
        "learned" => Request::Learned,
        "forget-learned" => Request::ForgetLearned,
        "trace" => {
            let in_port =
                p.number("in_port", u64::from(u32::MAX))?.ok_or_else(|| bad("`in_port` is missing".into()))?;
            let packet = match (p.string("packet")?, p.string("flow")?) {
                (Some(hex), None) => TracePacket::Bytes(unhex(&hex)?),
                (None, Some(flow)) => TracePacket::Flow(flow),
                _ => return Err(bad("give either `packet` (hexadecimal) or `flow` (such as `tcp,nw_src=…`)".into())),
            };
            Request::Trace { in_port: in_port as u32, packet }
        }
        "add-port" => Request::AddPort(p.required("port")?),
        "del-port" => Request::DelPort(p.name_or_number("port")?),
        "queues" => Request::Queues,
        "add-queue" => Request::AddQueue(p.required("queue")?),
        "del-queue" => {
            let port = p.name_or_number("port")?;
            let queue = p.number("id", u64::from(u32::MAX))?.ok_or_else(|| bad("`id` is missing".into()))?;
            Request::DelQueue { port, queue: queue as u32 }
        }
        "controllers" => Request::Controllers,
        "set-controllers" => Request::SetControllers(p.strings("controllers")?),
        "set-fail-mode" => Request::SetFailMode(p.required("mode")?.parse().map_err(|e| bad(format!("`mode`: {e}")))?),
        "set-log" => Request::SetLog(p.required("filter")?),
        "save-state" => Request::SaveState,
        "stop" => Request::Stop,
        "metrics" => Request::Metrics,
        "bridges" => return p.end().map(|()| Wanted::Bridges),
        "methods" => return p.end().map(|()| Wanted::Methods),
        _ => {
            let names = METHODS.iter().map(|m| m.0).collect::<Vec<_>>().join(", ");
            return Err(RpcError::new(RpcError::NO_METHOD, format!("no method `{method}`; there are {names}")));
        }
    };
    p.end()?;
    Ok(Wanted::Call { bridge, request })
}

/// Hexadecimal digits, blanks and colons between them ignored, to bytes.
fn unhex(text: &str) -> Result<Vec<u8>, RpcError> {
    let digits: Vec<u32> = text
        .chars()
        .filter(|c| !(c.is_whitespace() || *c == ':'))
        .map(|c| c.to_digit(16).ok_or_else(|| bad(format!("`packet` holds {c:?}; expected hexadecimal digits"))))
        .collect::<Result<_, _>>()?;
    if !digits.len().is_multiple_of(2) {
        return Err(bad("`packet` has an odd number of hexadecimal digits".into()));
    }
    Ok(digits.chunks_exact(2).map(|d| (d[0] << 4 | d[1]) as u8).collect())
}

/// The answer to one request.
pub fn response(id: Value, result: Result<Value, RpcError>) -> Value {
    match result {
        Ok(result) => json!({"jsonrpc": "2.0", "id": id, "result": result}),
        Err(e) => json!({"jsonrpc": "2.0", "id": id, "error": {"code": e.code, "message": e.message}}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> Incoming {
        match parse(text.as_bytes()) {
            Line::One(i) => i,
            Line::Batch(_) => panic!("a batch"),
        }
    }

    fn call(text: &str) -> Request {
        match one(text).wanted {
            Ok(Wanted::Call { request, .. }) => request,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn requests() {
        let i = one(r#"{"jsonrpc":"2.0","id":7,"method":"flows","params":{"table":3,"bridge":"b"}}"#);
        assert_eq!(i.id, Some(json!(7)));
        let request = Request::Flows { table: Some(3), filter: None };
        assert_eq!(i.wanted, Ok(Wanted::Call { bridge: Some("b".into()), request }));
        assert_eq!(one(r#"{"method":"bridges"}"#), Incoming { id: None, wanted: Ok(Wanted::Bridges) });
        let packet = TracePacket::Bytes(vec![0, 0xff, 0x1a]);
        assert_eq!(
            call(r#"{"id":1,"method":"trace","params":{"in_port":1,"packet":"00:ff 1A"}}"#),
            Request::Trace { in_port: 1, packet }
        );
        assert_eq!(call(r#"{"id":1,"method":"del-port","params":{"port":4}}"#), Request::DelPort("4".into()));
        assert_eq!(
            call(r#"{"id":1,"method":"del-queue","params":{"port":"e1","id":2}}"#),
            Request::DelQueue { port: "e1".into(), queue: 2 }
        );
    }

    #[test]
    fn every_listed_method_is_known_and_says_what_it_lacks() {
        for (name, params, _) in METHODS {
            let text = format!(r#"{{"id":1,"method":"{name}"}}"#);
            match one(&text).wanted {
                Ok(_) => assert!(params.is_empty() || params.split(", ").all(|p| p.ends_with('?')), "{name}"),
                Err(e) => {
                    assert_eq!(e.code, RpcError::BAD_PARAMS, "{name}: {}", e.message);
                    assert!(!params.is_empty(), "{name}");
                }
            }
        }
    }

    #[test]
    fn mistakes() {
        for (text, code, why) in [
            ("{", RpcError::PARSE, "not JSON"),
            ("3", RpcError::INVALID, "an object"),
            ("[]", RpcError::INVALID, "empty batch"),
            (r#"{"id":1}"#, RpcError::INVALID, "`method`"),
            (r#"{"id":{},"method":"status"}"#, RpcError::INVALID, "`id` can't be an object"),
            (r#"{"id":25555555555555555555555555555e98,"method":"status"}"#, RpcError::INVALID, "too many digits"),
            (r#"{"id":1,"jsonrpc":"1.0","method":"status"}"#, RpcError::INVALID, "2.0"),
            (r#"{"id":1,"method":"status","params":[1]}"#, RpcError::INVALID, "named parameters"),
            (r#"{"id":1,"method":"flow"}"#, RpcError::NO_METHOD, "there are status, ports, flows"),
            (r#"{"id":1,"method":"flows","params":{"table":255}}"#, RpcError::BAD_PARAMS, "0 to 254"),
            (r#"{"id":1,"method":"flows","params":{"tabel":1}}"#, RpcError::BAD_PARAMS, "unknown parameter `tabel`"),
            (r#"{"id":1,"method":"trace","params":{"in_port":1,"packet":"0"}}"#, RpcError::BAD_PARAMS, "odd number"),
            (r#"{"id":1,"method":"trace","params":{"in_port":1,"packet":"zz"}}"#, RpcError::BAD_PARAMS, "'z'"),
            (r#"{"id":1,"method":"trace","params":{"in_port":1}}"#, RpcError::BAD_PARAMS, "either"),
            (r#"{"id":1,"method":"set-log","params":{"filter":3}}"#, RpcError::BAD_PARAMS, "expected a string"),
        ] {
            let e = one(text).wanted.unwrap_err();
            assert!(e.code == code && e.message.contains(why), "{text}: {e:?}");
        }
        // Nested too deeply for the parser: an error, not a stack.
        let deep = "[".repeat(100_000);
        assert_eq!(one(&deep).wanted.unwrap_err().code, RpcError::PARSE);
        let many = format!("[{}]", vec!["1"; MAX_BATCH + 1].join(","));
        assert_eq!(one(&many).wanted.unwrap_err().code, RpcError::INVALID);
    }
}
