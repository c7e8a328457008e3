//! How much a server takes in one call (`OperationLimits`, Part 5, 6.3.11), asked once a session.

use opcua::{
    client::Session,
    types::{DataValue, NodeId, ReadValueId, TimestampsToReturn, VariableId, Variant},
};

/// Operations in one call where the server sets no limit, or a higher one: an answer stays well below the largest
/// message that is accepted.
const MOST_A_CALL: usize = 500;

/// Operations in one call, each at least 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OperationLimits {
    pub(super) read: usize,
    pub(super) browse: usize,
    pub(super) translate: usize,
    pub(super) monitor: usize,
}

impl OperationLimits {
    /// Asks the server. One that does not tell, or not understandably, is taken to have no limit: should it have one
    /// after all, the call that meets it fails and says so.
    pub(super) async fn ask(session: &Session) -> Self {
        let nodes = [
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerRead,
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerBrowse,
            VariableId::Server_ServerCapabilities_OperationLimits_MaxNodesPerTranslateBrowsePathsToNodeIds,
            VariableId::Server_ServerCapabilities_OperationLimits_MaxMonitoredItemsPerCall,
        ]
        .map(|node| ReadValueId::from(NodeId::from(node)));
        let mut values = Vec::new();
        match session.read(&nodes, TimestampsToReturn::Neither, 0.0).await {
            Ok(read) => values = read,
            // The limit on reading may be below the number of limits.
            Err(_) => {
                for node in nodes {
                    let read = session.read(&[node], TimestampsToReturn::Neither, 0.0).await;
                    values.push(
                        read.ok().and_then(|read| read.into_iter().next()).unwrap_or_default(),
                    );
                }
            }
        }
        let limit = |at: usize| bounded(values.get(at));
        Self { read: limit(0), browse: limit(1), translate: limit(2), monitor: limit(3) }
    }
}

/// A limit of 0 means that there is none.
fn bounded(value: Option<&DataValue>) -> usize {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Variant::UInt32(limit)) if *limit > 0 => {
            usize::try_from(*limit).unwrap_or(MOST_A_CALL).min(MOST_A_CALL)
        }
        _ => MOST_A_CALL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(value: Option<Variant>, expected: usize) {
        let value = value.map(|value| DataValue { value: Some(value), ..DataValue::null() });
        assert_eq!(bounded(value.as_ref()), expected, "{value:?}");
    }

    #[test]
    fn a_limit_is_kept_and_none_is_ours() {
        check(Some(Variant::UInt32(1)), 1);
        check(Some(Variant::UInt32(100)), 100);
        check(Some(Variant::UInt32(u32::MAX)), MOST_A_CALL);
        check(Some(Variant::UInt32(0)), MOST_A_CALL);
        check(Some(Variant::from("many")), MOST_A_CALL);
        check(None, MOST_A_CALL);
    }
}
