//! The switch daemon's entry point: options, logging, the runtime.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use switchd::config::{Cli, Config};
use switchd::{daemon, service};

/// Threads for connections and management; packets have their own.
const RUNTIME_THREADS: usize = 2;

fn main() -> ExitCode {
    let started = Config::load(Cli::read())
        .map_err(|e| e.to_string())
        .and_then(|config| service::start_logging(config.log.as_ref()).map(|log| (config, log)));
    let (config, log) = match started {
        Ok(both) => both,
        Err(e) => {
            eprintln!("switchd: {e}");
            // The code of a wrong command line, as clap's own.
            return ExitCode::from(2);
        }
    };
    service::log_panics();
    service::raise_descriptors();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("switchd-io")
        .on_thread_start(datapath::worker::wake_promptly)
        .enable_all()
        .build();
    let ended = match runtime {
        Ok(runtime) => {
            let ended = runtime.block_on(daemon::run(config, log));
            // Whatever still waits for a peer has nothing left to do.
            runtime.shutdown_background();
            ended
        }
        Err(e) => Err(anyhow::Error::new(e).context("can't start the runtime")),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("switchd: {e:#}");
            ExitCode::FAILURE
        }
    }
}
