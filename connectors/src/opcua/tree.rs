//! What a server shows of itself, as plain data.

use super::{NodeAddress, PathAddress};

/// The nodes below the folder `Objects`, each followed by what is below it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tree {
    /// Parents stand before their children.
    pub nodes: Vec<Node>,
    /// Whether a limit has ended the browse: there is more on the server.
    pub is_cut: bool,
    /// Nodes the server would not open.
    pub closed: usize,
}

/// An object or a variable.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Its place in the server's tree.
    pub path: PathAddress,
    /// Its id, by namespace URI.
    pub address: NodeAddress,
    /// What it is.
    pub kind: Kind,
    /// Name of its data type, as far as it is one of OPC UA's own; else the id of the type.
    pub data_type: Option<String>,
    /// `EURange`, if it says anything.
    pub range: Option<[f64; 2]>,
    /// UCUM text of `EngineeringUnits`, or the server's word for it.
    pub unit: Option<String>,
    /// The value at the time, in words, shortened.
    pub sample: Option<String>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something that holds others.
    Object,
    /// A number, or true or false: a tag can be made of it.
    Number,
    /// An array of numbers: a waveform, if the samples follow each other at a known rate.
    Array,
    /// Text, a structure, a time, or a value that could not be read.
    Other,
}

impl Kind {
    /// Its word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Object => "object",
            Self::Number => "number",
            Self::Array => "array",
            Self::Other => "other",
        }
    }
}

impl Node {
    /// How deep it stands: 1 right below `Objects`.
    pub fn depth(&self) -> usize {
        self.path.elements().len()
    }

    /// Its own name.
    pub fn name(&self) -> &str {
        self.path.elements().last().map_or("", |element| element.name.as_str())
    }

    /// The name of what holds it; empty right below `Objects`.
    pub fn parent(&self) -> &str {
        let above = self.path.elements().iter().rev().nth(1);
        above.map_or("", |element| element.name.as_str())
    }
}

impl Tree {
    /// Only nodes in whose path or id the text occurs, whatever the case, and what holds them.
    pub fn filter(&mut self, text: &str) {
        let text = text.to_lowercase();
        let matches = |node: &Node| {
            node.path.to_string().to_lowercase().contains(&text)
                || node.address.to_string().to_lowercase().contains(&text)
        };
        // Children stand behind their parents: from the end on, an object stays if one behind it has stayed below it.
        let mut kept: Vec<Node> = Vec::new();
        for node in std::mem::take(&mut self.nodes).into_iter().rev() {
            let holds = kept
                .last()
                .is_some_and(|below| below.path.elements().starts_with(node.path.elements()));
            if holds || matches(&node) {
                kept.push(node);
            }
        }
        kept.reverse();
        self.nodes = kept;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(path: &str) -> Node {
        Node {
            path: PathAddress::parse(path).expect("a path"),
            address: NodeAddress::parse("i=1").expect("an address"),
            kind: Kind::Object,
            data_type: None,
            range: None,
            unit: None,
            sample: None,
        }
    }

    #[test]
    fn a_filter_keeps_what_holds_a_match() {
        let paths =
            ["/Objects/A", "/Objects/A/B", "/Objects/A/B/Flow", "/Objects/A/C", "/Objects/D"];
        let mut tree = Tree { nodes: paths.map(node).to_vec(), ..Tree::default() };
        tree.filter("FLOW");
        let left: Vec<_> = tree.nodes.iter().map(|node| node.path.to_string()).collect();
        assert_eq!(left, paths[..3]);
        assert_eq!(
            (tree.nodes[2].name(), tree.nodes[2].parent(), tree.nodes[2].depth()),
            ("Flow", "B", 3)
        );
        tree.filter("nothing like it");
        assert!(tree.nodes.is_empty());
    }
}
