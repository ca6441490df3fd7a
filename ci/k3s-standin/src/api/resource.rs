//! Paths of the Kubernetes API.

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// `v1`, `coordination.k8s.io/v1`, …
    pub version: String,
    /// `nodes`, …
    pub plural: String,
    /// Namespace of one that has one.
    pub namespace: Option<String>,
    /// Name of one object.
    pub name: Option<String>,
    /// `status`, …
    pub part: Option<String>,
}

impl Resource {
    /// Takes a path apart.
    pub fn parse(path: &str) -> Option<Self> {
        let words: Vec<&str> = path.trim_matches('/').split('/').collect();
        let (version, rest) = match words.as_slice() {
            ["api", version, rest @ ..] => ((*version).to_owned(), rest),
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            _ => return None,
        };
        let own = |word: &&str| (*word).to_owned();
        let (namespace, rest) = match rest {
            ["namespaces", namespace, plural, rest @ ..] if *plural != "status" => {
                (Some(own(namespace)), [&[*plural], rest].concat())
            }
            _ => (None, rest.to_vec()),
        };
        let mut rest = rest.iter();
        let plural = rest.next().filter(|plural| !plural.is_empty()).map(own)?;
        let (name, part) = (rest.next().map(own), rest.next().map(own));
        (rest.next().is_none()).then_some(Self { version, plural, namespace, name, part })
    }

    /// The key of `name`, or of all where there is none.
    pub fn key(&self, name: Option<&str>) -> String {
        let mut key = format!("/registry/{}/", self.plural);
        if let Some(namespace) = &self.namespace {
            key.push_str(&format!("{namespace}/"));
        }
        key + name.unwrap_or_default()
    }

    /// Whether it is about nodes.
    pub fn is_node(&self) -> bool {
        self.version == "v1" && self.plural == "nodes"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths() {
        let parse = |path| Resource::parse(path).map(|r| (r.key(r.name.as_deref()), r.part));
        let is = |path, key: &str| assert_eq!(parse(path), Some((key.to_owned(), None)), "{path}");
        is("/api/v1/nodes", "/registry/nodes/");
        is("/api/v1/nodes/node1", "/registry/nodes/node1");
        is("/api/v1/namespaces/kube-system", "/registry/namespaces/kube-system");
        is("/api/v1/namespaces/a/secrets/b", "/registry/secrets/a/b");
        is("/api/v1/pods", "/registry/pods/");
        is(
            "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/node1",
            "/registry/leases/kube-node-lease/node1",
        );
        let status = Some(("/registry/nodes/node1".to_owned(), Some("status".to_owned())));
        assert_eq!(parse("/api/v1/nodes/node1/status"), status);
        assert_eq!(parse("/api/v1"), None);
        assert_eq!(parse("/apis/apps"), None);
    }
}
