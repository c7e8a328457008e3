//! From what the configuration says of a tag to the node on this server, and what the server says of the node.

use opcua::{
    client::Session,
    types::{
        BrowsePath, NodeId, QualifiedName, ReadValueId, ReferenceTypeId, RelativePath,
        RelativePathElement, TimestampsToReturn,
    },
};
use tracing::debug;

use super::{Place, limits::OperationLimits, path, receiver::Shared, session::Connection, units};
use crate::SessionError;

/// Where a tag's value is, or why it is nowhere.
type Found = (usize, Result<NodeId, String>);

const NO_NAMESPACE: &str = "its namespace is unknown to the server";

impl Connection<'_> {
    /// The nodes of these tags. Only a call that fails as a whole is an error.
    pub(super) async fn nodes(
        self,
        session: &Session,
        namespaces: &[String],
        limits: OperationLimits,
        tags: &[usize],
    ) -> Result<Vec<Found>, SessionError> {
        let mut found = Vec::with_capacity(tags.len());
        let mut paths = Vec::new();
        for index in tags {
            let unknown = || Err(NO_NAMESPACE.to_owned());
            match self.source.tags.get(*index).map(|tag| &tag.place) {
                Some(Place::Node(node)) => {
                    found.push((*index, node.resolve(namespaces).map_or_else(unknown, Ok)));
                }
                Some(Place::Path(path)) => match path.request(namespaces) {
                    Some(request) => paths.push((*index, request)),
                    None => found.push((*index, unknown())),
                },
                None => {}
            }
        }
        for chunk in paths.chunks(limits.translate) {
            let asked: Vec<_> = chunk.iter().map(|(_, request)| request.clone()).collect();
            let results = session
                .translate_browse_paths_to_node_ids(&asked)
                .await
                .map_err(|error| self.failed("look up browse paths", &error))?;
            // A tag without an answer must not vanish.
            let mut results = results.into_iter();
            found.extend(chunk.iter().map(|(index, _)| {
                let none = || Err("the server has not answered for its path".to_owned());
                (*index, results.next().map_or_else(none, |result| path::target(&result)))
            }));
        }
        Ok(found)
    }

    /// Asks for the `EURange` of tags whose configuration has no range, so that a value outside is not taken for good.
    /// A server that cannot tell leaves them as they are.
    pub(super) async fn ranges(
        self,
        session: &Session,
        limits: OperationLimits,
        shared: &Shared,
        nodes: &[(usize, NodeId)],
    ) {
        let is_open = |(index, _): &&(usize, NodeId)| {
            let tag = self.source.tags.get(*index);
            tag.is_some_and(|tag| tag.range.is_none() && tag.sample_rate_hz.is_none())
        };
        let open: Vec<_> = nodes.iter().filter(is_open).collect();
        for chunk in open.chunks(limits.translate.min(limits.read)) {
            let asked: Vec<_> = chunk.iter().map(|(_, node)| eu_range_of(node)).collect();
            let Ok(results) = session.translate_browse_paths_to_node_ids(&asked).await else {
                debug!(
                    source = self.source.name,
                    "the server does not tell the ranges of its values"
                );
                return;
            };
            let known: Vec<_> = chunk
                .iter()
                .zip(&results)
                .filter_map(|((index, _), result)| Some((*index, path::target(result).ok()?)))
                .collect();
            if known.is_empty() {
                continue;
            }
            let asked: Vec<_> = known.iter().map(|(_, node)| ReadValueId::from(node)).collect();
            let Ok(values) = session.read(&asked, TimestampsToReturn::Neither, 0.0).await else {
                return;
            };
            for ((index, _), value) in known.into_iter().zip(values) {
                let range = value.value.as_ref().and_then(units::range);
                shared.set_range(index, range);
            }
        }
    }
}

fn eu_range_of(node: &NodeId) -> BrowsePath {
    BrowsePath {
        starting_node: node.clone(),
        relative_path: RelativePath {
            elements: Some(vec![RelativePathElement {
                reference_type_id: ReferenceTypeId::HasProperty.into(),
                is_inverse: false,
                include_subtypes: true,
                target_name: QualifiedName::new(0, "EURange"),
            }]),
        },
    }
}
