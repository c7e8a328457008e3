//! Looks through a server's tree, within limits: every node once however its references run, and no continuation point
//! left behind in the server, which has only few.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
    time::Duration,
};

use bellwether_domain::ConnectorStatus;
use opcua::{
    client::Session,
    types::{
        AttributeId, BrowseDescription, BrowseDirection, BrowseResult, ByteString, ExpandedNodeId,
        NodeClass, NodeClassMask, NodeId, ObjectId, ReadValueId, ReferenceDescription,
        ReferenceTypeId, StatusCode, TimestampsToReturn, Variant,
    },
};
use tokio::{sync::mpsc, time::timeout};

use super::{
    Kind, Namespace, Node, NodeAddress, PathAddress, PathElement, Pki, Source, Tree,
    limits::OperationLimits,
    session::{Connection, millis},
    units,
};
use crate::{Now, SessionError, Sink, StatusCell};

/// References of one node in one answer; the rest comes behind a continuation point.
const REFERENCES_A_NODE: u32 = 1_000;
/// Nodes opened with one call: each may hold a continuation point in the server meanwhile.
const NODES_A_CALL: usize = 20;
/// Answers behind continuation points in the whole browse: a server that goes on for ever is left.
const CONTINUATIONS: usize = 10_000;
/// Values read with one call: they may be long arrays.
const VALUES_A_CALL: usize = 50;
/// Characters of a value that are shown.
const SAMPLE_LENGTH: usize = 40;
/// All results of a reference (Part 4, 7.5).
const ALL_RESULTS: u32 = 0x3f;

/// Where a browse ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BrowseLimits {
    /// Levels below `Objects`.
    pub depth: usize,
    /// Nodes in all.
    pub nodes: usize,
    /// Time in all, once the session is open.
    pub time: Duration,
}

impl Default for BrowseLimits {
    /// Five levels, 1,000 nodes, half a minute.
    fn default() -> Self {
        Self { depth: 5, nodes: 1_000, time: Duration::from_secs(30) }
    }
}

/// Looks through the server of this source over a session of its own. Its tags do not matter.
///
/// # Errors
/// If there is no session, or the server fails as a whole or in time; a node it will not open is only counted.
pub async fn browse(
    source: &Source,
    pki: &Pki,
    now: &Now,
    limits: BrowseLimits,
) -> Result<Tree, SessionError> {
    let status = StatusCell::new(ConnectorStatus::default());
    // Nothing is subscribed to, so nothing is offered.
    let (sender, _) = mpsc::channel(1);
    let sink = Sink::new(sender, status.clone());
    let connection = Connection { source, pki, sink: &sink, status: &status, now };
    let work = move |session: Arc<Session>, _| async move {
        if timeout(source.timeout, session.wait_for_connection()).await.is_err() {
            return Err(connection.late("open a session"));
        }
        session.disable_reconnects();
        let namespaces = connection.namespaces(&session).await?;
        let operations = OperationLimits::ask(&session).await;
        let walk = Walk {
            connection,
            session: &session,
            namespaces: &namespaces,
            operations,
            limits,
            seen: HashSet::new(),
            found: Vec::new(),
            continuations: 0,
            tree: Tree::default(),
        };
        // Within the session, so that it is closed properly: the server then forgets what it has kept for the browse.
        match timeout(limits.time, walk.tree()).await {
            Ok(tree) => tree,
            Err(_) => Err(SessionError::ServiceTimeout {
                endpoint: source.endpoint.clone(),
                action: "show its nodes",
                timeout_ms: millis(limits.time),
            }),
        }
    };
    connection.hold(work).await
}

/// A node that has been found, and where to ask on about it.
struct Found {
    id: NodeId,
    path: Vec<PathElement>,
    is_variable: bool,
    range: Option<NodeId>,
    unit: Option<NodeId>,
}

/// What is asked about a node.
#[derive(Clone, Copy)]
enum Question {
    DataType,
    Value,
    Range,
    Unit,
}

struct Walk<'a> {
    connection: Connection<'a>,
    session: &'a Session,
    namespaces: &'a [String],
    operations: OperationLimits,
    limits: BrowseLimits,
    seen: HashSet<NodeId>,
    found: Vec<Found>,
    continuations: usize,
    tree: Tree,
}

impl Walk<'_> {
    async fn tree(mut self) -> Result<Tree, SessionError> {
        let root: NodeId = ObjectId::ObjectsFolder.into();
        self.seen.insert(root.clone());
        // Where the parent stands in `found`; the root stands nowhere.
        let mut level: Vec<(NodeId, Option<usize>)> = vec![(root, None)];
        for _ in 0..self.limits.depth {
            let before = self.found.len();
            for chunk in level.chunks(self.operations.browse.min(NODES_A_CALL)) {
                self.open(chunk).await?;
            }
            let fresh = self.found.iter().enumerate().skip(before);
            level = fresh.map(|(at, node)| (node.id.clone(), Some(at))).collect();
        }
        // The last level's nodes are not opened, except variables, whose properties are wanted.
        let variables = level.into_iter().filter(|(_, at)| {
            at.and_then(|at| self.found.get(at)).is_some_and(|node| node.is_variable)
        });
        let variables: Vec<_> = variables.collect();
        for chunk in variables.chunks(self.operations.browse.min(NODES_A_CALL)) {
            let results = self.browse(chunk).await?;
            for ((_, parent), result) in chunk.iter().zip(results) {
                for reference in self.all(result).await? {
                    self.property(*parent, &reference);
                }
            }
        }
        self.describe().await
    }

    /// Opens these nodes and takes in what is below them.
    async fn open(&mut self, nodes: &[(NodeId, Option<usize>)]) -> Result<(), SessionError> {
        let results = self.browse(nodes).await?;
        let mut again = Vec::new();
        for (node, result) in nodes.iter().zip(results) {
            match result.status_code {
                StatusCode::BadNoContinuationPoints => again.push(node),
                status if !status.is_good() => self.tree.closed += 1,
                _ => {
                    for reference in self.all(result).await? {
                        self.take(node.1, reference);
                    }
                }
            }
        }
        // The server has room for fewer continuation points than nodes were asked for: one at a time.
        for node in again {
            for result in self.browse(std::slice::from_ref(node)).await? {
                if !result.status_code.is_good() {
                    self.tree.closed += 1;
                }
                for reference in self.all(result).await? {
                    self.take(node.1, reference);
                }
            }
        }
        Ok(())
    }

    async fn browse(
        &self,
        nodes: &[(NodeId, Option<usize>)],
    ) -> Result<Vec<BrowseResult>, SessionError> {
        let description = |(node, _): &(NodeId, Option<usize>)| BrowseDescription {
            node_id: node.clone(),
            browse_direction: BrowseDirection::Forward,
            reference_type_id: ReferenceTypeId::HierarchicalReferences.into(),
            include_subtypes: true,
            node_class_mask: (NodeClassMask::OBJECT | NodeClassMask::VARIABLE).bits(),
            result_mask: ALL_RESULTS,
        };
        let asked: Vec<_> = nodes.iter().map(description).collect();
        let answer = self.session.browse(&asked, REFERENCES_A_NODE, None).await;
        answer.map_err(|error| self.connection.failed("show its nodes", &error))
    }

    /// The references of a result and of all that is behind its continuation point, which is released if a limit is met.
    async fn all(
        &mut self,
        result: BrowseResult,
    ) -> Result<Vec<ReferenceDescription>, SessionError> {
        let mut references = result.references.unwrap_or_default();
        let mut point = result.continuation_point;
        while !point.is_null_or_empty() {
            let room = self.limits.nodes.saturating_sub(self.found.len());
            let is_over = references.len() > room || self.continuations >= CONTINUATIONS;
            self.continuations += 1;
            let mut more = self.next(is_over, point).await?;
            if is_over {
                self.tree.is_cut = true;
                break;
            }
            let Some(next) = more.pop().filter(|next| next.status_code.is_good()) else {
                self.tree.closed += 1;
                break;
            };
            references.extend(next.references.unwrap_or_default());
            point = next.continuation_point;
        }
        Ok(references)
    }

    async fn next(
        &self,
        release: bool,
        point: ByteString,
    ) -> Result<Vec<BrowseResult>, SessionError> {
        let answer = self.session.browse_next(release, &[point]).await;
        answer.map_err(|error| self.connection.failed("show more of its nodes", &error))
    }

    /// Notes a property that describes its variable; says whether it was a property at all.
    fn property(&mut self, parent: Option<usize>, reference: &ReferenceDescription) -> bool {
        let property: ExpandedNodeId = opcua::types::VariableTypeId::PropertyType.into();
        if reference.type_definition.node_id != property.node_id {
            return false;
        }
        let name = &reference.browse_name;
        if let (Some(parent), 0) =
            (parent.and_then(|at| self.found.get_mut(at)), name.namespace_index)
        {
            let id = Some(reference.node_id.node_id.clone());
            match name.name.as_ref() {
                "EURange" => parent.range = id,
                "EngineeringUnits" => parent.unit = id,
                _ => {}
            }
        }
        true
    }

    /// Takes in a node, unless it is known, OPC UA's own, on another server, or one too many.
    fn take(&mut self, parent: Option<usize>, reference: ReferenceDescription) {
        if self.property(parent, &reference) || reference.node_id.server_index != 0 {
            return;
        }
        let Some(id) = self.local(&reference.node_id) else { return };
        // Namespace 0 describes the server, not the plant.
        if id.namespace == 0 || self.seen.contains(&id) {
            return;
        }
        if self.found.len() >= self.limits.nodes {
            self.tree.is_cut = true;
            return;
        }
        self.seen.insert(id.clone());
        let above = parent.and_then(|at| self.found.get(at));
        let mut path = above.map(|above| above.path.clone()).unwrap_or_default();
        path.push(PathElement {
            namespace: Namespace::of(reference.browse_name.namespace_index, self.namespaces),
            name: reference.browse_name.name.as_ref().to_owned(),
        });
        let is_variable = reference.node_class == NodeClass::Variable;
        self.found.push(Found { id, path, is_variable, range: None, unit: None });
    }

    /// The node's id with the namespace's number on this server.
    fn local(&self, id: &ExpandedNodeId) -> Option<NodeId> {
        if id.namespace_uri.is_null() || id.namespace_uri.as_ref().is_empty() {
            return Some(id.node_id.clone());
        }
        let uri = Namespace::Uri(id.namespace_uri.as_ref().to_owned());
        Some(NodeId::new(uri.index(self.namespaces)?, id.node_id.identifier.clone()))
    }

    /// Reads what the variables are.
    async fn describe(mut self) -> Result<Tree, SessionError> {
        let mut nodes: Vec<Node> = self.found.iter().map(|found| self.bare(found)).collect();
        let mut questions = Vec::new();
        for (at, found) in self.found.iter().enumerate().filter(|(_, found)| found.is_variable) {
            let data_type = ReadValueId::new(found.id.clone(), AttributeId::DataType);
            questions.push((at, Question::DataType, data_type));
            questions.push((at, Question::Value, ReadValueId::from(&found.id)));
            let range = found.range.as_ref().map(|id| (at, Question::Range, ReadValueId::from(id)));
            let unit = found.unit.as_ref().map(|id| (at, Question::Unit, ReadValueId::from(id)));
            questions.extend(range.into_iter().chain(unit));
        }
        for chunk in questions.chunks(self.operations.read.min(VALUES_A_CALL)) {
            let asked: Vec<_> = chunk.iter().map(|(_, _, asked)| asked.clone()).collect();
            let read = self.session.read(&asked, TimestampsToReturn::Neither, 0.0).await;
            let values = read.map_err(|error| self.connection.failed("read its values", &error))?;
            for ((at, question, _), value) in chunk.iter().zip(values) {
                if let (Some(node), Some(value)) = (nodes.get_mut(*at), value.value) {
                    answer(node, *question, &value, self.namespaces);
                }
            }
        }
        // Breadth first was found; depth first is shown.
        let key = |node: &Node| -> Vec<(String, String)> {
            let names = node.path.elements().iter();
            names.map(|name| (name.name.clone(), format!("{:?}", name.namespace))).collect()
        };
        let mut sorted: BTreeMap<_, Vec<Node>> = BTreeMap::new();
        nodes.into_iter().for_each(|node| sorted.entry(key(&node)).or_default().push(node));
        self.tree.nodes = sorted.into_values().flatten().collect();
        Ok(self.tree)
    }

    fn bare(&self, found: &Found) -> Node {
        Node {
            path: PathAddress::new(found.path.clone()),
            address: NodeAddress::of(&found.id, self.namespaces),
            kind: if found.is_variable { Kind::Other } else { Kind::Object },
            data_type: None,
            range: None,
            unit: None,
            sample: None,
        }
    }
}

fn answer(node: &mut Node, question: Question, value: &Variant, namespaces: &[String]) {
    match question {
        Question::DataType => {
            if let Variant::NodeId(id) = value {
                let own = id.as_data_type_id().ok().filter(|_| id.namespace == 0);
                let name = own.map(|own| format!("{own:?}"));
                node.data_type = name.or_else(|| Some(NodeAddress::of(id, namespaces).to_string()));
            }
        }
        Question::Value => {
            node.kind = kind(value);
            node.sample = Some(sample(value));
        }
        Question::Range => node.range = units::range(value),
        Question::Unit => node.unit = units::unit(value),
    }
}

fn kind(value: &Variant) -> Kind {
    match value {
        Variant::Boolean(_) => Kind::Number,
        Variant::Array(array) if array.value_type.is_numeric() => Kind::Array,
        value if !value.is_array() && value.is_numeric() => Kind::Number,
        _ => Kind::Other,
    }
}

/// A value in a few characters.
fn sample(value: &Variant) -> String {
    let text = match value {
        Variant::Array(array) => return format!("{} values", array.values.len()),
        Variant::Empty => return "nothing".to_owned(),
        Variant::ByteString(bytes) => return format!("{} bytes", bytes.as_ref().len()),
        // In words they may be as long as the largest message.
        Variant::ExtensionObject(_) | Variant::DataValue(_) | Variant::DiagnosticInfo(_) => {
            return "a structure".to_owned();
        }
        value => value.to_string(),
    };
    let shown = text.chars().filter(|character| !character.is_control());
    shown.take(SAMPLE_LENGTH).collect()
}
