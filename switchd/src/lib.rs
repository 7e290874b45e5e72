//! The switch daemon: configuration, ports' lifecycle, bridges, the OpenFlow agent and management.
//!
//! ```text
//!  kernel ──netlink──▶ ports ──PortEvent──▶ bridge (one thread each) ◀──▶ agent (tokio) ◀──▶ controllers
//!                        │                     │  ▲
//!                        └──▶ datapath ◀───────┘  └──management::Call── management (unix socket)
//! ```
//!
//! No packet is parsed here and no wire layout of OpenFlow is known here.
#![forbid(unsafe_code)]

pub mod agent;
pub mod bridge;
pub mod config;
pub mod daemon;
pub mod kept;
pub mod management;
pub mod metrics;
pub mod netlink;
pub mod packet_buffer;
pub mod ports;
pub mod queues;
pub mod repeats;
pub mod service;
pub mod session;
