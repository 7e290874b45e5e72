//! Management calls to their owners: bridges, ports, log, the daemon itself.

use crate::agent::Dialler;
use crate::config::{ControllerSpec, FailMode, PortSpec, QueueSpec};
use crate::kept::{Change, Kept};
use crate::management::{Answer, Call, CallError, Request, Router};
use crate::metrics::Metrics;
use crate::ports::PortControl;
use crate::queues::QueueError;
use crate::service::LogControl;
use ofproto::ids::{PortNo, QueueId};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

/// Hands a call to a bridge's thread; must not block.
pub type ToBridge = Arc<dyn Fn(Call) + Send + Sync>;

/// The daemon's router.
pub struct DaemonRouter {
    /// Bridges by name, in the order of the configuration.
    pub bridges: Vec<(String, ToBridge)>,
    /// Ports' thread.
    pub ports: PortControl,
    /// Where each bridge keeps what is added to it.
    pub kept: HashMap<String, Kept>,
    /// Who dials each bridge's controllers.
    pub diallers: HashMap<String, Dialler>,
    /// Log filter.
    pub log: LogControl,
    /// Where a wish to stop goes.
    pub stop: mpsc::Sender<()>,
}

impl DaemonRouter {
    fn bridge(&self, name: Option<&str>) -> Result<&(String, ToBridge), CallError> {
        let names = || self.bridges.iter().map(|b| b.0.as_str()).collect::<Vec<_>>().join(", ");
        match (name, self.bridges.as_slice()) {
            (Some(name), all) => all
                .iter()
                .find(|b| b.0 == name)
                .ok_or_else(|| CallError::NotFound(format!("no bridge `{name}`; there are {}", names()))),
            (None, [one]) => Ok(one),
            (None, _) => Err(CallError::BadParams(format!("`bridge` is missing; there are {}", names()))),
        }
    }
}

impl DaemonRouter {
    fn note(&self, bridge: &str) -> Note {
        Note { kept: self.kept.get(bridge).cloned(), runtime: Handle::current() }
    }
}

async fn set_controllers(dialler: Dialler, specs: Vec<ControllerSpec>, note: Note, reply: oneshot::Sender<Answer>) {
    let _turn = note.turn().await;
    let shown = json!({"controllers": specs.iter().map(ToString::to_string).collect::<Vec<_>>()});
    match dialler.replace(&specs).await {
        Ok(()) => note.answer(reply, Change::Controllers(specs), shown),
        Err(e) => drop(reply.send(Err(CallError::Failed(e.to_string())))),
    }
}

async fn set_fail_mode(bridge: ToBridge, mode: FailMode, note: Note, reply: oneshot::Sender<Answer>) {
    let _turn = note.turn().await;
    let (tell, told) = oneshot::channel();
    bridge(Call { request: Request::SetFailMode(mode), reply: tell });
    match told.await {
        Ok(Ok(done)) => note.answer(reply, Change::FailMode(mode), done),
        Ok(Err(e)) => drop(reply.send(Err(e))),
        // The bridge has ended: so does the call.
        Err(_) => {}
    }
}

/// The number of the port that was changed.
fn of_port(no: PortNo) -> Value {
    json!({ "port_no": no.0 })
}

impl Router for DaemonRouter {
    fn bridges(&self) -> Vec<String> {
        self.bridges.iter().map(|b| b.0.clone()).collect()
    }

    fn route(&self, bridge: Option<&str>, call: Call) -> Result<(), CallError> {
        let Call { request, reply } = call;
        match request {
            Request::AddPort(text) => {
                let (name, _) = self.bridge(bridge)?;
                let spec: PortSpec = text.parse().map_err(|e| CallError::BadParams(format!("`port`: {e}")))?;
                let note = self.note(name);
                self.ports.add(name, spec.clone(), move |outcome| match outcome {
                    Ok(no) => note.answer(reply, Change::Port(spec, no), of_port(no)),
                    Err(e) => drop(reply.send(Err(CallError::Failed(e.to_string())))),
                });
            }
            Request::DelPort(which) => {
                let (name, _) = self.bridge(bridge)?;
                let shown = which.clone();
                let note = self.note(name);
                self.ports.remove(name, &which, move |outcome| match outcome {
                    Some(no) => note.answer(reply, Change::NoPort(no), of_port(no)),
                    None => drop(reply.send(Err(CallError::NotFound(format!("no port `{shown}`"))))),
                });
            }
            Request::AddQueue(text) => {
                let (name, _) = self.bridge(bridge)?;
                let spec: QueueSpec = text.parse().map_err(|e| CallError::BadParams(format!("`queue`: {e}")))?;
                let note = self.note(name);
                self.ports.add_queue(name, spec.clone(), move |outcome| match outcome {
                    Ok(no) => note.answer(reply, Change::Queue(spec, no), of_port(no)),
                    Err(e) => drop(reply.send(Err(queue_error(&e)))),
                });
            }
            Request::DelQueue { port, queue } => {
                let (name, _) = self.bridge(bridge)?;
                let note = self.note(name);
                self.ports.remove_queue(name, &port, QueueId(queue), move |outcome| match outcome {
                    Ok(no) => note.answer(reply, Change::NoQueue(no, QueueId(queue)), of_port(no)),
                    Err(e) => drop(reply.send(Err(queue_error(&e)))),
                });
            }
            Request::SetControllers(list) => {
                let (name, _) = self.bridge(bridge)?;
                let specs = list.iter().map(|text| text.parse()).collect::<Result<Vec<ControllerSpec>, _>>();
                let specs = specs.map_err(|e| CallError::BadParams(format!("`controllers`: {e}")))?;
                let dialler = self.diallers.get(name).cloned();
                let dialler = dialler.ok_or_else(|| CallError::Failed("the bridge is stopping".into()))?;
                tokio::spawn(set_controllers(dialler, specs, self.note(name), reply));
            }
            Request::SetFailMode(mode) => {
                let (name, bridge) = self.bridge(bridge)?;
                tokio::spawn(set_fail_mode(bridge.clone(), mode, self.note(name), reply));
            }
            Request::SetLog(filter) => {
                let answer = self.log.set(&filter).map(|()| json!({"filter": filter}));
                let _ = reply.send(answer.map_err(CallError::BadParams));
            }
            Request::Stop => {
                tracing::info!("asked to stop by management");
                let _ = reply.send(Ok(json!("stopping")));
                let _ = self.stop.try_send(());
            }
            Request::Metrics => {
                let bridges = match bridge {
                    Some(_) => vec![self.bridge(bridge)?.clone()],
                    None => self.bridges.clone(),
                };
                tokio::spawn(async move {
                    let _ = reply.send(Ok(Value::String(metrics(&bridges).await)));
                });
            }
            request => (self.bridge(bridge)?.1)(Call { request, reply }),
        }
        Ok(())
    }
}

fn queue_error(e: &QueueError) -> CallError {
    match e {
        QueueError::NoPort(_) | QueueError::NoQueue(..) => CallError::NotFound(e.to_string()),
        _ => CallError::Failed(e.to_string()),
    }
}

/// Keeps a change before it is answered.
struct Note {
    kept: Option<Kept>,
    runtime: Handle,
}

impl Note {
    /// Waits for changes before this one, of those that are awaited.
    async fn turn(&self) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        match &self.kept {
            Some(kept) => Some(kept.turn().await),
            None => None,
        }
    }

    /// Notes what happened and answers when that is on disk, without keeping whoever it happened to.
    fn answer(self, reply: oneshot::Sender<Answer>, change: Change, done: Value) {
        let Self { kept, runtime } = self;
        if let Some(kept) = &kept {
            kept.note(change);
        }
        runtime.spawn_blocking(move || {
            let answer = match kept.map_or(Ok(()), |kept| kept.save()) {
                Ok(()) => Ok(done),
                Err(e) => Err(CallError::Failed(format!("it is done and won't outlast a restart: {e}"))),
            };
            // A client that went away needs no answer.
            let _ = reply.send(answer);
        });
    }
}

/// Asks every bridge for what has numbers.
async fn metrics(bridges: &[(String, ToBridge)]) -> String {
    let mut metrics = Metrics::default();
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_owned())];
    metrics.add("switchd_build_info", false, version, 1.0);
    let parts = [
        (Request::Status, "", false),
        (Request::Ports, "port", false),
        (Request::Queues, "queue", false),
        (Request::Tables, "table", false),
        (Request::Connections, "connection", false),
        (Request::Counters, "", true),
    ];
    for (name, bridge) in bridges {
        for (request, prefix, counters) in &parts {
            let (reply, answer) = oneshot::channel();
            bridge(Call { request: request.clone(), reply });
            // What a bridge can't say has no metrics.
            if let Ok(Ok(answer)) = answer.await {
                metrics.add_answer(name, prefix, *counters, &answer);
            }
        }
    }
    metrics.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bridge(name: &'static str) -> (String, ToBridge) {
        let to: ToBridge = Arc::new(move |call: Call| {
            let answer = match call.request {
                Request::Status => Ok(json!({"name": name, "ports": 2})),
                Request::Counters => Ok(json!({"drops": 7})),
                _ => Err(CallError::Failed("no".into())),
            };
            call.reply.send(answer).unwrap();
        });
        (name.into(), to)
    }

    async fn ask(router: &DaemonRouter, bridge: Option<&str>, request: Request) -> Result<Value, CallError> {
        let (reply, answer) = oneshot::channel();
        router.route(bridge, Call { request, reply })?;
        answer.await.unwrap()
    }

    #[tokio::test]
    async fn calls_reach_their_owners() {
        let ports = crate::ports::start().unwrap();
        let (stop, mut stopped) = mpsc::channel(1);
        let log = LogControl::detached();
        let mut router = DaemonRouter {
            bridges: vec![bridge("a")],
            ports: ports.control(),
            kept: HashMap::new(),
            diallers: HashMap::new(),
            log,
            stop,
        };
        assert_eq!(ask(&router, None, Request::Status).await.unwrap()["name"], "a");
        router.bridges.push(bridge("b"));
        assert_eq!(ask(&router, Some("b"), Request::Status).await.unwrap()["name"], "b");
        let e = ask(&router, None, Request::Status).await.unwrap_err();
        assert_eq!(e, CallError::BadParams("`bridge` is missing; there are a, b".into()));
        assert!(matches!(ask(&router, Some("c"), Request::Status).await, Err(CallError::NotFound(_))));
        let text = ask(&router, None, Request::Metrics).await.unwrap();
        let text = text.as_str().unwrap();
        for line in ["switchd_ports{bridge=\"a\"} 2", "switchd_drops_total{bridge=\"b\"} 7"] {
            assert!(text.contains(line), "{text}");
        }
        let e = ask(&router, Some("a"), Request::AddPort("0=x".into())).await.unwrap_err();
        assert!(e.to_string().contains("expected 1 to 65279"), "{e}");
        assert!(matches!(
            ask(&router, Some("a"), Request::SetLog("a=loud".into())).await,
            Err(CallError::BadParams(_))
        ));
        ask(&router, Some("a"), Request::Stop).await.unwrap();
        assert_eq!(stopped.recv().await, Some(()));
    }
}
