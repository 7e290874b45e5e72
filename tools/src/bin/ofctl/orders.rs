//! Commands that change a bridge of switchd while it runs: ports, queues, controllers, its fail mode, its log.

use crate::cli::Options;
use crate::management::{call, word};
use crate::print_json;
use clap::{Args, ValueEnum};
use serde_json::{Value, json};

/// Whose bridge.
#[derive(Args)]
pub struct At {
    /// The bridge's name, or the management socket
    socket: String,
    /// Which bridge, if the daemon holds several
    #[arg(long, value_name = "NAME")]
    bridge: Option<String>,
}

#[derive(Args)]
pub struct AddPort {
    #[command(flatten)]
    at: At,
    /// As in `switchd --port`: `[NO=]IFNAME[,type=…][,workers=N]`
    port: String,
}

#[derive(Args)]
pub struct DelPort {
    #[command(flatten)]
    at: At,
    /// Its name or number
    port: String,
}

#[derive(Args)]
pub struct AddQueue {
    #[command(flatten)]
    at: At,
    /// As in `switchd --queue`: `PORT:ID,min-rate=RATE,max-rate=RATE`
    queue: String,
}

#[derive(Args)]
pub struct DelQueue {
    #[command(flatten)]
    at: At,
    /// The port's name or number
    port: String,
    /// The queue's number
    queue: u32,
}

#[derive(Args)]
pub struct SetController {
    #[command(flatten)]
    at: At,
    /// As in `switchd --controller`: `tcp:HOST[:PORT]`, `tls:HOST[:PORT]` or `unix:PATH`
    #[arg(required = true)]
    controllers: Vec<String>,
}

#[derive(Args)]
pub struct SetFailMode {
    #[command(flatten)]
    at: At,
    /// What to do while no controller is connected
    mode: FailMode,
}

/// As `switchd --fail-mode` takes them.
#[derive(Clone, Copy, ValueEnum)]
pub enum FailMode {
    /// Go on by the flows
    Secure,
    /// Be a learning switch that leaves its flows aside
    Standalone,
}

#[derive(Args)]
pub struct SetLog {
    #[command(flatten)]
    at: At,
    /// As in `switchd --log`: error, warn, info, debug or trace, also by module
    filter: String,
}

/// Has it done; what it answers is for programs.
fn order(o: &Options, at: &At, method: &str, params: Value) -> anyhow::Result<()> {
    let answer = call(o, &at.socket, at.bridge.as_deref(), method, params)?;
    if o.json {
        print_json(&answer);
    }
    Ok(())
}

/// `add-port`; tells the number that the port has got.
pub fn add_port(o: &Options, a: &AddPort) -> anyhow::Result<()> {
    let answer = call(o, &a.at.socket, a.at.bridge.as_deref(), "add-port", json!({ "port": a.port }))?;
    match answer.get("port_no") {
        Some(no) if !o.json => crate::print(&format!(" port {no}")),
        _ => print_json(&answer),
    }
    Ok(())
}

/// `del-port`
pub fn del_port(o: &Options, a: &DelPort) -> anyhow::Result<()> {
    order(o, &a.at, "del-port", json!({ "port": a.port }))
}

/// `add-queue`
pub fn add_queue(o: &Options, a: &AddQueue) -> anyhow::Result<()> {
    order(o, &a.at, "add-queue", json!({ "queue": a.queue }))
}

/// `del-queue`
pub fn del_queue(o: &Options, a: &DelQueue) -> anyhow::Result<()> {
    order(o, &a.at, "del-queue", json!({ "port": a.port, "id": a.queue }))
}

/// `set-controller`
pub fn set_controller(o: &Options, a: &SetController) -> anyhow::Result<()> {
    order(o, &a.at, "set-controllers", json!({ "controllers": a.controllers }))
}

/// `del-controller`
pub fn del_controller(o: &Options, at: &At) -> anyhow::Result<()> {
    order(o, at, "set-controllers", json!({ "controllers": [] }))
}

/// `get-controller`: one a line, as `set-controller` takes them.
pub fn get_controller(o: &Options, at: &At) -> anyhow::Result<()> {
    let answer = call(o, &at.socket, at.bridge.as_deref(), "controllers", json!({}))?;
    if o.json {
        print_json(&answer);
        return Ok(());
    }
    for controller in answer.as_array().into_iter().flatten() {
        crate::print(&word(Some(controller)));
    }
    Ok(())
}

/// `set-fail-mode`
pub fn set_fail_mode(o: &Options, a: &SetFailMode) -> anyhow::Result<()> {
    let mode = match a.mode {
        FailMode::Secure => "secure",
        FailMode::Standalone => "standalone",
    };
    order(o, &a.at, "set-fail-mode", json!({ "mode": mode }))
}

/// `get-fail-mode`
pub fn get_fail_mode(o: &Options, at: &At) -> anyhow::Result<()> {
    let status = call(o, &at.socket, at.bridge.as_deref(), "status", json!({}))?;
    let mode = status.get("fail_mode");
    if o.json {
        print_json(mode.unwrap_or(&Value::Null))
    } else {
        crate::print(&word(mode))
    }
    Ok(())
}

/// `save-state`
pub fn save_state(o: &Options, at: &At) -> anyhow::Result<()> {
    order(o, at, "save-state", json!({}))
}

/// `set-log`
pub fn set_log(o: &Options, a: &SetLog) -> anyhow::Result<()> {
    order(o, &a.at, "set-log", json!({ "filter": a.filter }))
}
