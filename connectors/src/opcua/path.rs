//! Browse paths: where a value stands in the server's tree, for servers that give their nodes new ids with every download.
//! `/Objects/2:Spindle/2:Speed`, or with the URI in the place of the number, `/Objects/{urn:maker}Spindle/{urn:maker}Speed`.

use std::fmt;

use opcua::types::{
    BrowsePath, BrowsePathResult, NodeId, ObjectId, QualifiedName, ReferenceTypeId, RelativePath,
    RelativePathElement, StatusCode,
};

use super::Namespace;

/// Names below the folder `Objects`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathAddress(Vec<PathElement>);

/// One name of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathElement {
    /// Namespace of the name, which need not be that of the node.
    pub namespace: Namespace,
    /// The name itself.
    pub name: String,
}

impl PathAddress {
    /// Parses `/Objects/<name>/<name>…`. A name may begin with `<number>:` or `{<URI>}`; a `&` takes the character behind it
    /// as it is (Part 4, A.2).
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("/Objects/").or_else(|| text.strip_prefix("/0:Objects/"))?;
        let mut elements = Vec::new();
        let mut rest = Some(rest);
        while let Some(text) = rest {
            let (element, behind) = element(text)?;
            elements.push(element);
            rest = behind;
        }
        Some(Self(elements))
    }

    pub(super) fn new(elements: Vec<PathElement>) -> Self {
        Self(elements)
    }

    /// The names, outermost first.
    pub fn elements(&self) -> &[PathElement] {
        &self.0
    }

    /// Whether it depends on a number the server may change.
    pub(super) fn is_numbered(&self) -> bool {
        let is_numbered =
            |namespace: &Namespace| matches!(namespace, Namespace::Index(index) if *index > 1);
        self.0.iter().any(|element| is_numbered(&element.namespace))
    }

    /// The question to this server, if it has the namespaces.
    pub(super) fn request(&self, namespaces: &[String]) -> Option<BrowsePath> {
        let element = |element: &PathElement| {
            Some(RelativePathElement {
                reference_type_id: ReferenceTypeId::HierarchicalReferences.into(),
                is_inverse: false,
                include_subtypes: true,
                target_name: QualifiedName::new(
                    element.namespace.index(namespaces)?,
                    element.name.as_str(),
                ),
            })
        };
        let elements = self.0.iter().map(element).collect::<Option<Vec<_>>>()?;
        Some(BrowsePath {
            starting_node: ObjectId::ObjectsFolder.into(),
            relative_path: RelativePath { elements: Some(elements) },
        })
    }
}

/// The node the server found, or why there is none to rely on.
pub(super) fn target(result: &BrowsePathResult) -> Result<NodeId, String> {
    if !result.status_code.is_good() {
        let is_unknown = result.status_code == StatusCode::BadNoMatch;
        let text =
            if is_unknown { "no such path".to_owned() } else { result.status_code.to_string() };
        return Err(text);
    }
    let here = result.targets.iter().flatten().filter(|target| {
        target.remaining_path_index == u32::MAX && target.target_id.server_index == 0
    });
    // One node may be referred to in several ways.
    let mut nodes: Vec<&NodeId> = Vec::new();
    for target in here {
        if !nodes.contains(&&target.target_id.node_id) {
            nodes.push(&target.target_id.node_id);
        }
    }
    match nodes.as_slice() {
        [] => Err("the path leads to another server".to_owned()),
        [node] => Ok((*node).clone()),
        many => Err(format!("{} nodes have this path", many.len())),
    }
}

/// The first name of the text, and what is behind its `/`.
fn element(text: &str) -> Option<(PathElement, Option<&str>)> {
    let (namespace, text) = if let Some(rest) = text.strip_prefix('{') {
        let (uri, rest) = rest.split_once('}')?;
        (Namespace::Uri((!uri.is_empty()).then(|| uri.to_owned())?), rest)
    } else {
        match text.split_once(':') {
            Some((index, rest))
                if !index.is_empty() && index.bytes().all(|digit| digit.is_ascii_digit()) =>
            {
                (Namespace::Index(index.parse().ok()?), rest)
            }
            _ => (Namespace::Index(0), text),
        }
    };
    let mut name = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '&' => name.push(characters.next()?.1),
            '/' => {
                let behind = text.get(at + 1..)?;
                return (!name.is_empty())
                    .then_some((PathElement { namespace, name }, Some(behind)));
            }
            _ => name.push(character),
        }
    }
    (!name.is_empty()).then_some((PathElement { namespace, name }, None))
}

impl fmt::Display for PathAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/Objects")?;
        for PathElement { namespace, name } in &self.0 {
            match namespace {
                Namespace::Uri(uri) => write!(f, "/{{{uri}}}")?,
                Namespace::Index(0) => f.write_str("/")?,
                Namespace::Index(index) => write!(f, "/{index}:")?,
            }
            for character in name.chars() {
                if matches!(character, '/' | '&' | ':' | '{') {
                    f.write_str("&")?;
                }
                write!(f, "{character}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use opcua::types::{BrowsePathTarget, ExpandedNodeId};

    use super::*;

    #[track_caller]
    fn check(text: &str, namespaces: &[&str], expected: Option<&[(u16, &str)]>) {
        let namespaces: Vec<_> = namespaces.iter().map(|uri| (*uri).to_owned()).collect();
        let asked = PathAddress::parse(text).and_then(|path| path.request(&namespaces));
        let names = asked.map(|asked| {
            let elements = asked.relative_path.elements.unwrap_or_default().into_iter();
            elements
                .map(|element| {
                    let QualifiedName { namespace_index, name } = element.target_name;
                    (namespace_index, name.as_ref().to_owned())
                })
                .collect::<Vec<_>>()
        });
        let expected = expected.map(|names| {
            names.iter().map(|(index, name)| (*index, (*name).to_owned())).collect::<Vec<_>>()
        });
        assert_eq!(names, expected, "{text}");
    }

    #[test]
    fn a_path_is_asked_for_by_the_numbers_of_this_server() {
        let known = ["ua", "http://maker/plant"];
        check("/Objects/2:Spindle/2:Speed", &[], Some(&[(2, "Spindle"), (2, "Speed")]));
        check("/0:Objects/Server", &[], Some(&[(0, "Server")]));
        check("/Objects/{http://maker/plant}Spindle", &known, Some(&[(1, "Spindle")]));
        check("/Objects/{urn:other}Spindle", &known, None);
        check("/Objects/3:a&/b&&c&:d", &[], Some(&[(3, "a/b&c:d")]));
        check("/Objects/Axis:1", &[], Some(&[(0, "Axis:1")]));
    }

    #[test]
    fn anything_else_is_no_path() {
        for text in [
            "",
            "/",
            "/Objects",
            "/Objects/",
            "Objects/a",
            "/Objects/a//b",
            "/Objects/a&",
            "/Objects/{}a",
            "/Objects/{urn:x",
            "/Objects/70000:a",
            "/Objects/2:",
        ] {
            assert_eq!(PathAddress::parse(text), None, "{text}");
        }
    }

    #[test]
    fn a_path_is_written_as_it_is_read() {
        for text in ["/Objects/{http://m/p}A&/B/2:C", "/Objects/Axis&:1/&{x}"] {
            let path = PathAddress::parse(text).expect("a path");
            assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn a_path_with_two_ends_is_refused_rather_than_guessed() {
        let end = |id: u32, left: u32| BrowsePathTarget {
            target_id: ExpandedNodeId::from(NodeId::new(2, id)),
            remaining_path_index: left,
        };
        let result = |targets: Vec<BrowsePathTarget>| BrowsePathResult {
            status_code: StatusCode::Good,
            targets: Some(targets),
        };
        assert_eq!(
            target(&result(vec![end(7, u32::MAX), end(7, u32::MAX)])),
            Ok(NodeId::new(2, 7_u32))
        );
        assert!(target(&result(vec![end(7, u32::MAX), end(8, u32::MAX)])).is_err());
        assert!(target(&result(vec![end(7, 1)])).is_err());
        let status_code = StatusCode::BadNoMatch;
        assert!(target(&BrowsePathResult { status_code, targets: None }).is_err());
    }
}
