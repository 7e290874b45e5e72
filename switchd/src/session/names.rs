//! Messages by name, for the log and for whoever reads errors.

use ofproto::message::Message;

/// The specification's name of a message.
pub fn message_name(message: &Message) -> &'static str {
    match message {
        Message::Hello(_) => "HELLO",
        Message::Error(_) => "ERROR",
        Message::EchoRequest(_) => "ECHO_REQUEST",
        Message::EchoReply(_) => "ECHO_REPLY",
        Message::Experimenter(_) | Message::Nicira(_) => "EXPERIMENTER",
        Message::FeaturesRequest => "FEATURES_REQUEST",
        Message::FeaturesReply(_) => "FEATURES_REPLY",
        Message::GetConfigRequest => "GET_CONFIG_REQUEST",
        Message::GetConfigReply(_) => "GET_CONFIG_REPLY",
        Message::SetConfig(_) => "SET_CONFIG",
        Message::PacketIn(_) => "PACKET_IN",
        Message::FlowRemoved(_) => "FLOW_REMOVED",
        Message::PortStatus(_) => "PORT_STATUS",
        Message::PacketOut(_) => "PACKET_OUT",
        Message::FlowMod(_) => "FLOW_MOD",
        Message::GroupMod(_) => "GROUP_MOD",
        Message::PortMod(_) => "PORT_MOD",
        Message::TableMod(_) => "TABLE_MOD",
        Message::MultipartRequest(_) => "MULTIPART_REQUEST",
        Message::MultipartReply(_) => "MULTIPART_REPLY",
        Message::BarrierRequest => "BARRIER_REQUEST",
        Message::BarrierReply => "BARRIER_REPLY",
        Message::QueueGetConfigRequest(_) => "QUEUE_GET_CONFIG_REQUEST",
        Message::QueueGetConfigReply { .. } => "QUEUE_GET_CONFIG_REPLY",
        Message::RoleRequest(_) => "ROLE_REQUEST",
        Message::RoleReply(_) => "ROLE_REPLY",
        Message::GetAsyncRequest(_) => "GET_ASYNC_REQUEST",
        Message::GetAsyncReply(_) => "GET_ASYNC_REPLY",
        Message::SetAsync(_) => "SET_ASYNC",
        Message::MeterMod(_) => "METER_MOD",
        Message::RoleStatus(_) => "ROLE_STATUS",
        Message::TableStatus(_) => "TABLE_STATUS",
        Message::RequestForward(_) => "REQUESTFORWARD",
        Message::BundleControl(_) => "BUNDLE_CONTROL",
        Message::BundleAdd(_) => "BUNDLE_ADD_MESSAGE",
        Message::ControllerStatus(_) => "CONTROLLER_STATUS",
    }
}
